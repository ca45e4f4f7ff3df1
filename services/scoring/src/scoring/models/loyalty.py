"""The loyalty index: 100·Σ w_j·s_j / Σ w_j over the indicators for which there is evidence.

Each indicator's points, 100·w_j·s_j / Σ w_j, add up to the index. What is missing is said, by the coverage
(the observed share of the weights) and per indicator, never guessed.

The eight indicators, and what stands for each here: repeat purchase (`repeat_rate`), time of buying
(`time_of_buying`), attitude to price and quality (`price_insensitivity`, `fault_tolerance`), share of wallet
(`wallet_share`), referrals, time to choose (`speed_of_choosing`), attitude to competitors, affection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Floats, floats
from .pareto_nbd import Params

QUANTILES = 101

N = TypeVar("N", float, Floats)

_DAY = 1 / 7


@dataclass(frozen=True, slots=True)
class Weights:
    """What each indicator counts for; only their proportions matter. Data, versioned, named by every score.

    ValueError unless all are finite and not negative and one is above 0.
    """

    version: int = 1
    repeat_rate: float = 0.20
    time_of_buying: float = 0.10
    wallet_share: float = 0.15
    referrals: float = 0.15
    price_insensitivity: float = 0.10
    fault_tolerance: float = 0.10
    speed_of_choosing: float = 0.10
    attitude_to_competitors: float = 0.05
    affection: float = 0.05

    def __post_init__(self) -> None:
        weights = [getattr(self, name) for name in INDICATORS]
        if not all(np.isfinite(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
            raise ValueError("weights are finite and not negative, and one at least is above 0")


INDICATORS = tuple(field.name for field in fields(Weights) if field.name != "version")


class Indicator(NamedTuple):
    """One indicator: from 0 to 1, or None where there is no evidence; its weight and part of the index."""

    value: float | None
    weight: float
    points: float

    @property
    def observed(self) -> bool:
        """Whether there is evidence for it."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class Loyalty:
    """The index from 0 to 100, None where nothing that counts is observed, and the points that make it."""

    index: float | None
    coverage: float
    indicators: Mapping[str, Indicator]
    weights_version: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a customer beyond their purchase rate; None: not known.

    Shares and attitudes are from 0 to 1, times in weeks; price insensitivity needs purchases, fault tolerance
    a fault.
    """

    wallet_share: float | None = None
    referrals: int | None = None
    purchases: int = 0
    discounted_purchases: int | None = None  # None: it is not recorded which purchases were at a discount
    faults: int = 0
    repurchases_after_fault: int = 0
    speed_of_choosing: float | None = None
    attitude_to_competitors: float | None = None
    affection: float | None = None
    usual_interval: float | None = None  # None: bought on fewer than two days
    silence: float = 0.0


NOTHING_KNOWN = Evidence()
FIRST_WEIGHTS = Weights()


def purchase_rate(params: Params, x: ArrayLike, T: ArrayLike) -> Floats:
    """(r+x)/(α+T): purchases per week, as believed after x in T weeks."""
    x, T = floats(x, T)
    return np.asarray((params.r + x) / (params.alpha + T))


def quantile_grid(params: Params, x: ArrayLike, T: ArrayLike) -> Floats:
    """The population's quantiles 0, 1, … 100% of the purchase rate, to be kept with the fit."""
    rates = purchase_rate(params, x, T)
    return np.quantile(rates, np.linspace(0, 1, QUANTILES)) if rates.size else np.empty(0)


def repeat_rate(params: Params, x: ArrayLike, T: ArrayLike, grid: Floats) -> Floats:
    """The percentile (0 to 1) of each customer's purchase rate in the population of the grid.

    Equal quantiles, as where most bought once on one day, are a step: its middle counts. Needs a grid.
    """
    rates = purchase_rate(params, x, T)
    below, upto = np.searchsorted(grid, rates, "left"), np.searchsorted(grid, rates, "right")
    inside = np.interp(rates, grid, np.arange(len(grid)))
    place = np.where(upto - below > 1, (below + upto - 1) / 2, inside)
    return np.asarray(place / (len(grid) - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Standings:
    """Of each customer the index from 0 to 100, nan where nothing that counts is observed, and how much of
    the weights is."""

    index: Floats
    coverage: Floats


def standings(known: Mapping[str, Floats], weights: Weights = FIRST_WEIGHTS) -> Standings:
    """Indices and coverages of many customers as `loyalty()` has them.

    `known` are those indicators for which somebody has evidence, each from 0 to 1, nan for whoever has none.
    ValueError where one is not between 0 and 1.
    """
    for name, values in known.items():
        if (values < 0).any() or (values > 1).any():
            raise ValueError(f"{name} is from {np.nanmin(values)} to {np.nanmax(values)}, not from 0 to 1")
    columns = [(known[name], getattr(weights, name)) for name in INDICATORS if name in known]
    seen = np.sum([np.where(np.isnan(values), 0.0, weight) for values, weight in columns], axis=0)
    weighable = np.where(seen > 0, seen, np.nan)
    points = [np.nan_to_num(100 * (weight / weighable) * values) for values, weight in columns]
    return Standings(np.where(seen > 0, np.sum(points, axis=0), np.nan), seen / total(weights))


def loyalty(
    repeat_rate: float | None, evidence: Evidence = NOTHING_KNOWN, weights: Weights = FIRST_WEIGHTS
) -> Loyalty:
    """The index of one customer, `repeat_rate` as the percentile from `repeat_rate()`.

    ValueError where a share or an attitude is not between 0 and 1.
    """
    known = _known(repeat_rate, evidence)
    seen = sum(getattr(weights, name) for name in known)
    indicators = {}
    for name in INDICATORS:
        value, weight = known.get(name), getattr(weights, name)
        points = 100 * (weight / seen) * value if seen > 0 and value is not None else 0.0
        indicators[name] = Indicator(value, weight, points)
    index = sum(indicator.points for indicator in indicators.values()) if seen > 0 else None
    return Loyalty(index, seen / total(weights), indicators, weights.version)


@cache
def total(weights: Weights) -> float:
    """Of all indicators, observed or not."""
    return float(sum(getattr(weights, name) for name in INDICATORS))


def _known(repeat_rate: float | None, evidence: Evidence) -> dict[str, float]:
    """The indicators for which there is evidence, each from 0 to 1."""
    values: dict[str, float | None] = {
        "repeat_rate": repeat_rate,
        "time_of_buying": _time_of_buying(evidence),
        "wallet_share": evidence.wallet_share,
        "referrals": None if evidence.referrals is None else float(-np.expm1(-evidence.referrals)),
        "price_insensitivity": _price_insensitivity(evidence),
        "fault_tolerance": _fault_tolerance(evidence),
        "speed_of_choosing": evidence.speed_of_choosing,
        "attitude_to_competitors": evidence.attitude_to_competitors,
        "affection": evidence.affection,
    }
    known = {name: value for name, value in values.items() if value is not None}
    for name, value in known.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, not between 0 and 1")
    return known


def contributions_to_change(before: Loyalty, now: Loyalty) -> dict[str, float]:
    """What each indicator adds to the difference of two indices of one customer, in points that add up to it.

    With W the weights observed now: 100·w·(s − s₀)/W of an indicator that was and is observed; what is newly
    observed moves the index by w·(100·s − L₀)/W, and what is no longer by −w·(100·s₀ − L₀)/W. So an indicator
    that has not changed adds nothing. ValueError where the weights differ, or there is no index.
    """
    if before.weights_version != now.weights_version:
        raise ValueError(f"weights {before.weights_version} and {now.weights_version} are not comparable")
    if before.index is None or now.index is None:
        raise ValueError("without an index there is no difference")
    seen = sum(indicator.weight for indicator in now.indicators.values() if indicator.observed)
    made = {}
    for name, new in now.indicators.items():
        old = before.indicators[name].value
        from_, to = ((before.index if s is None else 100 * s) for s in (old, new.value))
        made[name] = new.weight * (to - from_) / seen
    return made


def price_insensitivity(discounted: N, purchases: N) -> N:
    """1 − (d+1)/(n+2), d of n purchases at a discount; of one customer or many."""
    return 1 - (discounted + 1) / (purchases + 2)


def fault_tolerance(repurchases: N, faults: N) -> N:
    """(repurchases after a fault + 1)/(faults + 2), of one customer or many."""
    return (repurchases + 1) / (faults + 2)


def time_of_buying(usual: ArrayLike, silence: ArrayLike) -> Floats:
    """The usual interval between purchases over the time since the last one; 1 while that is not longer.

    An interval is at least a day, as purchases of one day are one.
    """
    usual = np.maximum(usual, _DAY)
    return np.asarray(usual / np.maximum(silence, usual))


def _price_insensitivity(evidence: Evidence) -> float | None:
    if evidence.discounted_purchases is None or evidence.purchases == 0:
        return None
    return price_insensitivity(evidence.discounted_purchases, evidence.purchases)


def _fault_tolerance(evidence: Evidence) -> float | None:
    if evidence.faults == 0:
        return None
    return fault_tolerance(evidence.repurchases_after_fault, evidence.faults)


def _time_of_buying(evidence: Evidence) -> float | None:
    if evidence.usual_interval is None:
        return None
    return float(time_of_buying(evidence.usual_interval, evidence.silence))
