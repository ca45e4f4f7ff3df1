"""Backtests: the past cut at an origin into what was known then and what happened after.

Of an origin, the day itself belongs to what was known: T counts the days from a customer's first purchase to
the origin, and the horizon begins the day after it.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from . import forecast
from .arrays import Bools, Floats, Ints
from .calibration import NOT_CALIBRATED, Calibration, calibrate
from .complaint_effect import PRIOR_GAMMA, Gamma
from .complaints import Schedules
from .forecast import Fitted
from .interval import Interval, of_amount, of_log_odds
from .metrics import Metrics, metrics
from .rfm import DAY, summarize
from .score import Customers

Days = NDArray[np.datetime64]
_ENOUGH_TO_COMPARE = 4000  # customers on whom plausible parameters are compared
_LEAST, _DOUBT = 1e-300, 1e-15


class Purchases(NamedTuple):
    """One entry each: who bought, a number from 0, and on which day (datetime64[D])."""

    customer: Ints
    day: Days


class Complaints(NamedTuple):
    """One entry each: who complained, when it was opened and resolved (datetime64[s], NaT: still open).

    `outcome` 1 mishandled, 2 recovered, 0 none; `severity` its weight.
    """

    customer: Ints
    opened: Days
    resolved: Days
    outcome: Ints
    severity: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The customers known at the origin, as they were known then, and what they bought until the end.

    `bought` counts the distinct days with a purchase after the origin, up to and with the end; `first` is the
    day of the first purchase; `complaints` how many had been made by then.
    """

    origin: date
    end: date
    customer: Ints
    first: Days
    customers: Customers
    complaints: int
    bought: Floats

    @property
    def horizon(self) -> float:
        """Weeks from the origin to the end."""
        return (self.end - self.origin).days * DAY

    @property
    def churned(self) -> Bools:
        """Who bought nothing in them."""
        return np.asarray(self.bought == 0)


def cut(purchases: Purchases, complaints: Complaints | None, origin: date, end: date) -> Cut:
    """The past seen from the origin. ValueError unless the end is after the origin."""
    if end <= origin:
        raise ValueError(f"the end {end} is not after the origin {origin}")
    begin, until = np.datetime64(origin, "D"), np.datetime64(end, "D")
    known = summarize(purchases.customer, purchases.day, np.zeros(len(purchases.day)), begin)
    who = known.customer.astype(np.int64)
    rows = known.rows
    first = begin - np.rint(rows.T / DAY).astype(np.int64)
    schedules, complained = Schedules.none(), 0
    if complaints is not None:
        schedules, complained = _known_complaints(complaints, who, first, begin)
    after = (purchases.day > begin) & (purchases.day <= until)
    buyer, _ = distinct_days(purchases.customer[after], purchases.day[after])
    place, there = places(buyer, who)
    return Cut(
        origin=origin,
        end=end,
        customer=who,
        first=first,
        customers=Customers.of(rows.x, rows.t_x, rows.T, schedules=schedules),
        complaints=complained,
        bought=np.bincount(place[there], minlength=len(who)).astype(np.float64),
    )


def _known_complaints(
    complaints: Complaints, who: Ints, first: Days, origin: np.datetime64
) -> tuple[Schedules, int]:
    """Complaints opened until the origin; what was resolved later was still open then."""
    place, there = places(complaints.customer, who)
    seen = there & (complaints.opened.astype("datetime64[D]") <= origin)
    place, resolved = place[seen], complaints.resolved[seen]
    unresolved = ~(resolved.astype("datetime64[D]") <= origin)  # NaT is not before anything
    begun = first[place]
    schedules = Schedules.of_arrays(
        place,
        _weeks(complaints.opened[seen] - begun),
        np.where(unresolved, np.nan, _weeks(resolved - begun)),
        np.where(unresolved, 0, complaints.outcome[seen]),
        complaints.severity[seen],
    )
    return schedules, len(place)


def _weeks(lengths: NDArray[np.timedelta64]) -> Floats:
    return np.asarray(lengths / np.timedelta64(1, "s") * (DAY / 86_400))


def distinct_days(customer: Ints, day: Days) -> tuple[Ints, Ints]:
    """The customers and the days, from 1970, without what is said twice; purchases of a day are one."""
    number = day.astype(np.int64)
    first = number.min(initial=0)
    span = int(number.max(initial=0) - first) + 1
    found = np.unique(customer * span + (number - first))
    return found // span, found % span + first


def places(customer: Ints, who: Ints) -> tuple[Ints, Bools]:
    """Where each customer stands in the sorted `who`, and whether they do."""
    place = np.searchsorted(who, customer)
    there = place < len(who)
    there[there] = who[place[there]] == customer[there]
    return place, there


def like_origin(begin: date, origin: date, end: date) -> date:
    """The earlier origin from which the time to `origin` is as long, against the time since `begin`, as that
    from `origin` to `end` is against the time from `begin` to `origin`.

    A model's error grows with how far beyond its own experience it looks. Forecasts for the next 39 weeks
    after 39 of experience resemble those for 19½ after 19½, not those for 9 after 30.
    """
    seen, ahead = (origin - begin).days, (end - origin).days
    return begin + timedelta(days=seen**2 // max(seen + ahead, 1))


def learn(kind: str, past: Cut, assumed: Gamma = PRIOR_GAMMA) -> Calibration:
    """Fit the model to what was known at an earlier origin, and calibrate it by what happened after."""
    if not past.customers.x.size:
        return NOT_CALIBRATED
    fitted = forecast.fit(kind, past.customers, past.complaints, assumed)
    plausible = [f.log_odds_churn(_some(past.customers), past.horizon) for f in fitted.plausible()]
    return calibrate(
        fitted.forecaster.log_odds_churn(past.customers, past.horizon), past.churned, plausible
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How a model fitted at an origin forecast what came after, as it is and calibrated at an earlier one.

    `churn_interval`, of the model's own churn, and `purchases_interval` are those of the mean over customers.
    Calibration concerns churn alone: purchases stay as they are.
    """

    fitted: Fitted
    calibration: Calibration
    churn: Floats
    calibrated_churn: Floats
    purchases: Floats
    raw: Metrics
    calibrated: Metrics
    churn_interval: tuple[float, float]
    purchases_interval: tuple[float, float]


def evaluate(kind: str, now: Cut, calibration: Calibration, assumed: Gamma = PRIOR_GAMMA) -> Evaluation:
    """The model fitted to what was known at the cut's origin. ValueError where nobody was."""
    if not now.customers.x.size:
        raise ValueError(f"nobody had bought by {now.origin}, so there is nothing to fit and to measure")
    fitted = forecast.fit(kind, now.customers, now.complaints, assumed)
    log_odds = fitted.forecaster.log_odds_churn(now.customers, now.horizon)
    churn = np.asarray(special.expit(log_odds))
    calibrated = np.asarray(special.expit(calibration.calibrator.calibrate(log_odds)))
    purchases = fitted.forecaster.purchases(now.customers, now.horizon)
    some, asked = _some(now.customers), fitted.plausible()
    # Plausible parameters are tried on a sample, and what they change is added to the mean over all.
    rates = [_logit(special.expit(each.log_odds_churn(some, now.horizon))) for each in asked]
    means = [each.purchases(some, now.horizon).mean() for each in asked]
    likely = of_log_odds([_logit(churn) + rate - rates[0] for rate in rates])
    bought = of_amount([np.atleast_1d(purchases.mean() * mean / max(means[0], _LEAST)) for mean in means])
    return Evaluation(
        fitted,
        calibration,
        churn,
        calibrated,
        purchases,
        metrics(churn, purchases, now.bought),
        metrics(calibrated, purchases, now.bought),
        _bounds(likely),
        _bounds(bought),
    )


def _logit(chances: Floats) -> Floats:
    """Of their mean."""
    return np.atleast_1d(special.logit(np.clip(chances.mean(), _LEAST, 1 - _DOUBT)))


def _bounds(interval: Interval) -> tuple[float, float]:
    return float(interval.low[0]), float(interval.high[0])


def _some(customers: Customers) -> Customers:
    """A regular sample, enough for means over customers."""
    every = -(-len(customers.x) // _ENOUGH_TO_COMPARE)
    return customers.take(np.arange(0, len(customers.x), every)) if every > 1 else customers
