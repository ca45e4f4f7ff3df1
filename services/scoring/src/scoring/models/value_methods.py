"""Five ways to foretell what customers will spend, learnt from purchase histories.

- probabilistic: Pareto/NBD times Gamma-Gamma, fitted elsewhere; see `clv`
- migration: Dwyer's states of recency, here for each frequency class; see `dwyer`
- retention: Dwyer's "lost for good", lost being who is silent for longer than nearly all who came back
- customer_events: each customer's next purchases at their own rhythm; see `customer_events`
- curve: the spending per period of a segment, followed on; see `profit_curve`

Segments say how often somebody has bought (on one day: once, two or three: few, more: often) and whether
the last time is recent: "often_recent", "once_silent" and so on. All amounts are spending; the margin on it
is for whoever asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import gamma_gamma, pareto_nbd
from .arrays import Floats, Ints
from .customer_events import rhythm_value
from .dwyer import (
    RECENCIES,
    Migration,
    Retention,
    estimate_migration,
    estimate_retention,
    migration_ahead,
)
from .profit_curve import Curve, fit_curve
from .rfm import Rows
from .value_history import CLASSES, Purchases, Spells, Standing, frequency_class

PROBABILISTIC = "probabilistic"
METHODS = (PROBABILISTIC, "migration", "retention", "customer_events", "curve")
_FREQUENCIES = ("once", "few", "often")
SEGMENTS = tuple(f"{often}_{last}" for often in _FREQUENCIES for last in ("recent", "silent"))

RECENT_GAPS = 3.0
"""The last purchase is recent for so many times the median time between purchases."""
_ROWS_TO_FIT = 20_000  # a regular sample determines four parameters to about a hundredth
_MOST_PERIODS = 60
_FEWEST_IN_PERIOD = 10


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What the events of customers are foretold from.

    `gap` and `amount` are everybody's weeks between purchases and amount per purchase, which each
    customer's own are averaged with as if it were one more. `still[f][c]`: the chance that one of class f
    has not bought again c periods after buying; who has not by the end of it never will.
    """

    gap: float
    amount: float
    still: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What histories teach besides the probabilistic model; `period` and `recent` in weeks."""

    period: float
    recent: float
    migration: Migration
    retention: Retention
    rhythm: Rhythm
    curves: Mapping[str, Curve]
    """By segment, over the periods of the relationship, the first purchase left out; a segment too young
    has none."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """How far to look, in weeks, and the discount per week on what comes later."""

    weeks: float
    weekly_discount: float = 0.0

    def worth(self, period: float) -> Floats:
        """What a period's spending is worth now, for each of the periods ahead; the last may be a part."""
        count = int(np.ceil(self.weeks / period - 1e-9))
        t = np.arange(1, count + 1)
        part = np.minimum(self.weeks / period - (t - 1), 1.0)
        return np.asarray(part * (1 + self.weekly_discount) ** (-t * period))


def learn(purchases: Purchases, now: float, period: float) -> Learnt:
    """All methods but the probabilistic, from purchases until now; `period` in weeks."""
    standing = purchases.standing(now)
    spells = purchases.spells(period, now)
    gap = _rows(standing).time_between_purchases()
    recent = RECENT_GAPS * (gap or period)
    return Learnt(
        period=period,
        recent=recent,
        migration=estimate_migration(spells),
        retention=(retention := estimate_retention(spells)),
        rhythm=_rhythm(standing, spells, retention.patience, period),
        curves=_curves(purchases, standing, segment_of(standing, recent), period),
    )


def segment_of(standing: Standing, recent: float) -> Ints:
    """Each customer's place in SEGMENTS."""
    silent = standing.T - standing.t_x > recent
    return np.asarray(2 * np.minimum(standing.frequency, len(_FREQUENCIES) - 1) + silent)


def foretell(learnt: Learnt, standing: Standing, ahead: Ahead) -> dict[str, Floats]:
    """The spending to expect of each customer by each method but the probabilistic; NaN where it cannot
    say."""
    return {
        "migration": _by_migration(learnt, standing, ahead),
        "retention": _by_retention(learnt, standing, ahead),
        "customer_events": _by_events(learnt, standing, ahead),
        "curve": _by_curve(learnt, standing, ahead),
    }


def foretell_probabilistic(standing: Standing, ahead: Ahead) -> Floats:
    """The same by Pareto/NBD and Gamma-Gamma, fitted to these very customers; undiscounted."""
    every = max(1, len(standing.who) // _ROWS_TO_FIT)
    sample = _rows(standing).every(every)
    purchase = pareto_nbd.fit(sample).params
    spend = gamma_gamma.fit(sample.x, standing.mean_repeat[::every]).params
    count = pareto_nbd.expected_purchases(purchase, standing.x, standing.t_x, standing.T, ahead.weeks)
    return np.asarray(count * gamma_gamma.expected_amount(spend, standing.x, standing.mean_repeat))


def _rows(standing: Standing) -> Rows:
    return Rows.of(standing.x, standing.t_x, standing.T)


def _silence(standing: Standing, period: float) -> Ints:
    """Whole periods since the last purchase."""
    return np.floor((standing.T - standing.t_x) / period).astype(np.int64)


def _by_migration(learnt: Learnt, standing: Standing, ahead: Ahead) -> Floats:
    migration = learnt.migration
    value = migration_ahead(migration.matrix(), migration.rewards(), ahead.worth(learnt.period))
    recency = np.minimum(_silence(standing, learnt.period), RECENCIES - 1)
    return np.asarray(value[standing.frequency * RECENCIES + recency])


def _by_retention(learnt: Learnt, standing: Standing, ahead: Ahead) -> Floats:
    worth, rates = ahead.worth(learnt.period), np.array(learnt.retention.rates)
    kept = rates[:, None] ** np.arange(1, len(worth) + 1)
    value = (kept * worth).sum(axis=1) * np.array(learnt.retention.spend)
    still_there = _silence(standing, learnt.period) <= learnt.retention.patience
    return np.where(still_there, value[standing.frequency], 0.0)


def _by_events(learnt: Learnt, standing: Standing, ahead: Ahead) -> Floats:
    rhythm, days = learnt.rhythm, standing.x + 1
    gap = (standing.t_x + rhythm.gap) / days
    still = np.array(rhythm.still)
    last = still.shape[1] - 1
    now = still[standing.frequency, np.minimum(_silence(standing, learnt.period), last)]
    never = still[:, -1]
    first = np.divide(now - never[standing.frequency], now, out=np.zeros_like(now), where=now > 0)
    return rhythm_value(
        first=first,
        again=1 - never[frequency_class(days + 1)],
        wait=np.maximum(gap - (standing.T - standing.t_x), 0.0),
        gap=gap,
        profit=(standing.spent + rhythm.amount) / (days + 1),
        ahead=ahead.weeks,
        discount=ahead.weekly_discount,
    )


def _by_curve(learnt: Learnt, standing: Standing, ahead: Ahead) -> Floats:
    value = np.full(len(standing.who), np.nan)
    segment, worth = segment_of(standing, learnt.recent), ahead.worth(learnt.period)
    age = standing.T / learnt.period
    for name, curve in learnt.curves.items():
        rows = segment == SEGMENTS.index(name)
        value[rows] = sum(w * curve.kept_within(age[rows] + t) for t, w in enumerate(worth, start=1))
    return value


def _rhythm(standing: Standing, spells: Spells, patience: int, period: float) -> Rhythm:
    repeats, spent, days = standing.x.sum(), standing.spent.sum(), (standing.x + 1).sum()
    still = np.ones((CLASSES, patience + 1))
    for f in range(CLASSES):
        of_class = spells.frequency == f
        length, ended = spells.length[of_class], spells.ended[of_class]
        for c in range(1, patience + 1):
            tried, bought = np.count_nonzero(length >= c), np.count_nonzero(ended & (length == c))
            still[f, c] = still[f, c - 1] * (1 - bought / tried if tried else 1.0)
    return Rhythm(
        gap=float(standing.t_x.sum() / repeats) if repeats else period,
        amount=float(spent / days) if days else 0.0,
        still=tuple(tuple(row) for row in still.tolist()),
    )


def _curves(purchases: Purchases, standing: Standing, segment: Ints, period: float) -> dict[str, Curve]:
    """Per segment the mean spending in each period of the relationship that at least half of them have
    lived."""
    place = np.zeros(purchases.customers, dtype=np.int64)
    place[standing.who] = np.arange(len(standing.who))
    owner = place[purchases.customer]
    first = np.ones(len(owner), dtype=np.bool_)
    first[1:] = owner[1:] != owner[:-1]
    since = purchases.week - purchases.week[np.maximum.accumulate(np.where(first, np.arange(len(owner)), 0))]
    in_period, lived = np.floor(since / period), np.floor(standing.T / period)
    counted = ~first & (in_period < np.minimum(lived[owner], _MOST_PERIODS))
    owner, in_period = owner[counted], in_period[counted].astype(np.int64)
    cell, shape = segment[owner] * _MOST_PERIODS + in_period, (len(SEGMENTS), _MOST_PERIODS)
    spent = np.bincount(cell, purchases.amount[counted], minlength=shape[0] * shape[1]).reshape(shape)
    curves = {}
    for s, name in enumerate(SEGMENTS):
        periods = np.minimum(lived[segment == s], _MOST_PERIODS)
        there = np.array([np.count_nonzero(periods > k) for k in range(_MOST_PERIODS)])
        enough = there >= max(_FEWEST_IN_PERIOD, len(periods) / 2)
        if enough.any():
            curves[name] = fit_curve(spent[s, enough] / there[enough])
    return curves
