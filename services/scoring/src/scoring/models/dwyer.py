"""Lifetime value by Dwyer's two methods: customers who leave are gone for good, or come and go.

Retention ("lost for good"): of N₀ customers the share Π R_k is still there in period t and brings m_t each,

    value = Σ_t N₀·Π_{k≤t} R_k·m_t/(1+d)^t − acquisition.

Migration ("always a share"): customers move between states, such as how many periods ago they last bought,
by the probabilities P, and bring R_s in each period in which they are in state s,

    V = Σ_t (P/(1+d))^t R = (I − P/(1+d))⁻¹ R.

Dwyer 1989, "Customer Lifetime Valuation to Support Marketing Decision Making"; in matrices Pfeifer and
Carraway 2000, "Modeling Customer Relationships as Markov Chains". Published check: buying again with .3,
.2, .15, .05 after 1, 2, 3, 4 periods, never after, R = (36, −4, −4, −4, 0), d = .2 → V = 52.3196, 5.5538,
1.2508, −1.8200, 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Floats, floats
from .value_history import CLASSES, Spells

RECENCIES = 12
"""Periods of silence that are told apart; the last stands for as many or more."""
_USUAL = 0.95
_BELIEF = 10.0  # periods of everybody's experience that each frequency class begins with


def retention_value(
    customers: float, rates: ArrayLike, margins: ArrayLike, discount: float, acquisition: float = 0.0
) -> float:
    """What a group of customers is worth, in the unit of the margins.

    `margins` m₀ … m_n per customer and period, the first of them now; `rates` R₁ … R_n, each the share of
    those of one period who are still there in the next; `discount` per period.
    """
    (m,), (kept,) = floats(margins), floats(rates)
    if len(kept) != len(m) - 1:
        raise ValueError(f"{len(m)} margins need {len(m) - 1} rates between them, not {len(kept)}")
    if not ((kept >= 0) & (kept <= 1)).all():
        raise ValueError(f"rates lie between 0 and 1: {kept.tolist()}")
    if not discount > -1:
        raise ValueError(f"discount is {discount}, not above -1")
    there = customers * np.cumprod(np.append(1.0, kept))
    return float((there * m * (1 + discount) ** -np.arange(float(len(m)))).sum() - acquisition)


def recency_matrix(buys: Sequence[float]) -> Floats:
    """P over the states "last bought 1, 2, … periods ago": back to the first with chance `buys`, else one on.

    One state more than `buys`: the last is for good.
    """
    (p,) = floats(np.asarray(buys, dtype=np.float64))
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"probabilities lie between 0 and 1: {p.tolist()}")
    states = len(p) + 1
    matrix = np.zeros((states, states))
    matrix[:-1, 0] = p
    matrix[np.arange(states - 1), np.arange(1, states)] += 1 - p
    matrix[-1, -1] = 1.0
    return matrix


def migration_value(P: ArrayLike, R: ArrayLike, discount: float) -> Floats:
    """V = (I − P/(1+d))⁻¹R per state: what R_s now and all that follows is worth; `discount` d > 0 per
    period."""
    matrix, rewards = np.asarray(P, dtype=np.float64), np.asarray(R, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape != (len(rewards), len(rewards)):
        raise ValueError(f"P must be {len(rewards)} by {len(rewards)} as R has {len(rewards)} states")
    if not (matrix >= 0).all() or not (matrix.sum(axis=1) <= 1 + 1e-9).all():
        raise ValueError("P has a negative entry, or a row that adds up to more than 1")
    if not discount > 0:
        raise ValueError(f"discount is {discount}, not above 0, and the sum has no end")
    return np.asarray(
        np.linalg.solve(np.eye(len(rewards)) - matrix / (1 + discount), rewards), dtype=np.float64
    )


def migration_ahead(P: Floats, R: Floats, worth: Floats) -> Floats:
    """Σ_t worth_t·P^t R per state: what the periods t = 1, 2, … bring, each with its own worth today."""
    value, then = np.zeros(len(R)), R
    for share in worth:
        then = P @ then
        value += share * then
    return value


@dataclass(frozen=True, slots=True)
class Migration:
    """How customers migrate, by frequency class and periods since they last bought.

    `buys[f][r][g]`: the chance per period that one of class f, r + 1 periods after buying, buys and then is
    of class g. `spend[g]`: the amount in a period in which one buys who then is of class g.
    """

    buys: tuple[tuple[tuple[float, ...], ...], ...]
    spend: tuple[float, ...]

    def matrix(self) -> Floats:
        """P over the states class·RECENCIES + recency − 1."""
        buys = np.array(self.buys)
        matrix = np.zeros((CLASSES * RECENCIES, CLASSES * RECENCIES))
        for f in range(CLASSES):
            for r in range(RECENCIES):
                state = f * RECENCIES + r
                matrix[state, ::RECENCIES] = buys[f, r]
                matrix[state, f * RECENCIES + min(r + 1, RECENCIES - 1)] += 1 - buys[f, r].sum()
        return matrix

    def rewards(self) -> Floats:
        """R of the same states: the amount where they have just bought."""
        rewards = np.zeros(CLASSES * RECENCIES)
        rewards[::RECENCIES] = self.spend
        return rewards


def estimate_migration(spells: Spells) -> Migration:
    """The shares that bought again, as in a life table: who has not come back yet counts as far as seen.

    A class with little experience leans on everybody's; probabilities that nobody has experience of are 0.
    """
    recency = np.minimum(spells.length, RECENCIES) - 1
    ended = spells.ended
    shape = (CLASSES, RECENCIES, CLASSES)
    cell = ((spells.frequency * RECENCIES + recency) * CLASSES + spells.then)[ended]
    bought = np.bincount(cell, minlength=CLASSES * RECENCIES * CLASSES).reshape(shape).astype(np.float64)
    tried = np.zeros((CLASSES, RECENCIES))
    for r in range(RECENCIES - 1):
        tried[:, r] = np.bincount(spells.frequency[spells.length > r], minlength=CLASSES)
    long = np.maximum(spells.length - RECENCIES + 1, 0).astype(np.float64)
    tried[:, -1] = np.bincount(spells.frequency, long, minlength=CLASSES)
    everybody = _share(bought.sum(axis=(0, 2)), tried.sum(axis=0))
    moves = _moves(bought.sum(axis=1))
    believed = _BELIEF * everybody[None, :, None] * moves[:, None, :]
    buys = (bought + believed) / (tried[:, :, None] + _BELIEF)
    spent = np.bincount(spells.then[ended], spells.spend[ended], minlength=CLASSES)
    times = np.bincount(spells.then[ended], minlength=CLASSES).astype(np.float64)
    mean = _share(spent.sum(), times.sum())
    return Migration(_nested(buys), tuple(np.where(times > 0, _share(spent, times), mean).tolist()))


@dataclass(frozen=True, slots=True)
class Retention:
    """Who has been silent for longer than `patience` periods is lost for good.

    Per frequency class the share kept from period to period, and the amount per period of those who are kept.
    """

    patience: int
    rates: tuple[float, ...]
    spend: tuple[float, ...]


def estimate_retention(spells: Spells) -> Retention:
    """Patience is as long as 95% of the silences that ended in a purchase; rates and amounts are per period
    until then. A class with little experience leans on everybody's."""
    lengths = spells.length[spells.ended]
    patience = int(np.quantile(lengths, _USUAL, method="higher")) if lengths.size else 1
    kept = spells.ended & (spells.length <= patience)
    there = _sums(spells, np.minimum(spells.length, patience))
    lost = _sums(spells, spells.length > patience)
    spent = _sums(spells, np.where(kept, spells.spend, 0.0))
    leaving = (lost + _BELIEF * _share(lost.sum(), there.sum())) / (there + _BELIEF)
    spend = (spent + _BELIEF * _share(spent.sum(), there.sum())) / (there + _BELIEF)
    return Retention(patience, tuple((1 - leaving).tolist()), tuple(spend.tolist()))


def _sums(spells: Spells, amounts: ArrayLike) -> Floats:
    weights = np.asarray(amounts, dtype=np.float64)
    return np.bincount(spells.frequency, weights, minlength=CLASSES).astype(np.float64)


def _share(part: ArrayLike, whole: ArrayLike) -> Floats:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.asarray(np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0))


def _moves(bought: Floats) -> Floats:
    """Of those of a class who buy, the share that then is of each class; unknown: of the next."""
    total = bought.sum(axis=1, keepdims=True)
    following = np.eye(CLASSES)[np.minimum(np.arange(CLASSES) + 1, CLASSES - 1)]
    return np.where(total > 0, bought / np.maximum(total, 1.0), following)


def _nested(values: Floats) -> tuple[tuple[tuple[float, ...], ...], ...]:
    return tuple(tuple(tuple(row) for row in block) for block in values.tolist())
