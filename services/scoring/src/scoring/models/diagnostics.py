"""What a report shows of a backtest: expected against actual, in the usual four pictures.

Fader, Hardie and Lee 2005, "Counting Your Customers the Easy Way", figures 2 to 5; and how the purchases of
the holdout are spread over customers ranked by forecast.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import special

from . import complaint_clock, pareto_nbd
from .arrays import Floats, Ints
from .backtest import Cut, Purchases, distinct_days, places
from .complaint_clock import Clock
from .complaints import Schedules
from .forecast import KINDS, WITH_COMPLAINTS, Forecaster
from .integral import Rule
from .metrics import Reliability, reliability
from .rfm import DAY
from .score import Customers

MOST = 7  # purchases counted apart; the last group is so many and more
GROUPS = 10
_WEEK = 7
_RULE = Rule.of(24)


@dataclass(frozen=True, slots=True, eq=False)
class Tracking:
    """Repeat purchases of the customers known at the origin, per week from the first purchase of all.

    `origin` is how many of the weeks had passed by then; a last week that is not whole is left out.
    """

    actual: Floats
    expected: Floats
    origin: float


def tracking(forecaster: Forecaster, past: Cut, purchases: Purchases) -> Tracking:
    """Week by week, of customers of whom nothing is known but their first purchase, and complaints."""
    first = past.first.astype("datetime64[D]").astype(np.int64)
    begin, end = int(first.min()), _number(past.end)
    ends = np.arange(begin + _WEEK, end + 2, _WEEK) - 1  # the last day of each week
    buyer, day = distinct_days(purchases.customer, purchases.day)
    place, known = places(buyer, past.customer)
    repeat = known & (day <= end)
    repeat[repeat] = day[repeat] > first[place[repeat]]
    week = (day[repeat] - begin) // _WEEK
    actual = np.bincount(week, minlength=len(ends))[: len(ends)].astype(np.float64)
    expected = np.array([_bought_until(forecaster, past.customers.schedules, first, int(e)) for e in ends])
    origin = (_number(past.origin) - begin + 1) / _WEEK
    return Tracking(actual, np.diff(expected, prepend=0.0), origin)


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _bought_until(forecaster: Forecaster, schedules: Schedules, first: Ints, day: int) -> float:
    """Repeat purchases expected of all until the day, of whom nothing is known but the first."""
    quiet = np.ones(len(first), dtype=np.bool_)
    if forecaster.kind == WITH_COMPLAINTS:
        quiet[schedules.customer] = False
    firsts, count = np.unique(first[quiet], return_counts=True)
    new = Customers.of(np.zeros(len(firsts)), 0.0, 0.0)
    ahead = np.maximum(day - firsts, 0) * DAY
    if forecaster.kind != WITH_COMPLAINTS:
        return float(count @ forecaster.purchases(new, ahead))
    plain = Forecaster(KINDS[0], forecaster.params)
    total = float(count @ plain.purchases(new, ahead))
    return total + _complaining(forecaster, schedules, np.maximum(day - first[~quiet], 0) * DAY)


def _complaining(forecaster: Forecaster, schedules: Schedules, ages: Floats) -> float:
    """Σ r/α·∫₀ᵗ (β/(β+G(u)))^s du over the customers with complaints, piece by piece."""
    params = forecaster.params
    assert isinstance(params, pareto_nbd.Params)
    clock = Clock.of(schedules, forecaster.gamma)
    part = complaint_clock.stretch(clock, np.zeros(len(ages)), ages)
    b, g = params.beta + part.at_start, clock.g[part.piece]
    alive = np.exp(params.s * (np.log(params.beta) - np.log(b)))
    weeks = alive * pareto_nbd.weeks_alive(params.s, b / g, part.length)
    return float(params.r / params.alpha * weeks.sum())


def frequencies(forecaster: Forecaster, customers: Customers) -> tuple[Floats, Floats]:
    """How many customers made 0, 1, … repeat purchases so far, `MOST` and more together: actual, expected.

    P(X = k) is the likelihood of (k, t_x, T) over all t_x, times t_x^{k−1}/(k−1)! for where the others were.
    """
    actual = np.bincount(np.minimum(customers.x, MOST).astype(np.int64), minlength=MOST + 1)
    loud = customers.schedules.customer if forecaster.kind == WITH_COMPLAINTS else np.empty(0, dtype=np.int64)
    quiet = np.ones(len(customers.x), dtype=np.bool_)
    quiet[loud] = False
    T, weight = np.unique(customers.T[quiet], return_counts=True)
    expected = _spread(forecaster, T, weight.astype(np.float64), Schedules.none())
    if loud.size:
        some = customers.take(loud)
        expected = expected + _spread(forecaster, some.T, np.ones(len(loud)), some.schedules)
    return actual.astype(np.float64), np.append(expected, max(len(customers.x) - expected.sum(), 0.0))


def _spread(forecaster: Forecaster, T: Floats, weight: Floats, schedules: Schedules) -> Floats:
    def chance(k: int, t_x: Floats | float) -> Floats:
        return np.exp(forecaster.log_likelihood(Customers.of(float(k), t_x, T, schedules=schedules)))

    if not T.size:
        return np.zeros(MOST)
    alpha = forecaster.params.alpha
    reach = np.log1p(T / alpha)  # over ln(α + t_x), where 24 nodes are enough whatever the age
    found = [weight @ chance(0, 0.0)]
    for k in range(1, MOST):
        density = np.zeros(len(T))
        for point, share in zip(_RULE.nodes[:, 0], _RULE.weights, strict=True):
            t_x = alpha * np.expm1(point * reach)
            others = (k - 1) * np.log(np.maximum(t_x, 1e-300))
            density += share * reach * (alpha + t_x) * chance(k, t_x) * np.exp(others)
        found.append(weight @ density / special.gamma(k))
    return np.array(found)


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """Per number of repeat purchases before the origin, 0 to `MOST` and more: customers, and the mean number
    of purchases after it, actual and expected; NaN where there is nobody."""

    customers: Floats
    actual: Floats
    expected: Floats


def conditional(past: Cut, expected: Floats) -> Conditional:
    """Purchases after the origin by purchases before it."""
    group = np.minimum(past.customers.x, MOST).astype(np.int64)
    customers = np.bincount(group, minlength=MOST + 1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return Conditional(
            customers,
            np.bincount(group, past.bought, MOST + 1) / customers,
            np.bincount(group, expected, MOST + 1) / customers,
        )


def gains(expected: Floats, bought: Floats) -> Floats:
    """Of the purchases after the origin, the share made by each tenth of the customers, best forecast first.

    Empty where nothing was bought.
    """
    total = bought.sum()
    if not total:
        return np.empty(0)
    ranked = bought[np.argsort(-expected, kind="stable")]
    return np.array([part.sum() / total for part in np.array_split(ranked, GROUPS)])


@dataclass(frozen=True, slots=True, eq=False)
class Diagnostics:
    """Everything that a report draws of one model's backtest."""

    tracking: Tracking
    frequencies: tuple[Floats, Floats]
    conditional: Conditional
    raw: Reliability
    calibrated: Reliability
    gains: Floats


def diagnose(
    forecaster: Forecaster, past: Cut, purchases: Purchases, churn: Floats, calibrated: Floats
) -> Diagnostics:
    """Of forecasts made at the cut's origin; `churn` as the model has it, and as calibrated."""
    expected = forecaster.purchases(past.customers, past.horizon)
    return Diagnostics(
        tracking(forecaster, past, purchases),
        frequencies(forecaster, past.customers),
        conditional(past, expected),
        reliability(churn, past.churned),
        reliability(calibrated, past.churned),
        gains(expected, past.bought),
    )
