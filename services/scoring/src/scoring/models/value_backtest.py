"""Which method foretells best in which segment: told the past until an origin, asked for what came after.

Every method learns from the purchases until the origin and foretells what each customer spends in the weeks
that follow. Its error in a segment (as customers stood at the origin) is the root of the mean squared
difference per customer: the measure that the truest mean makes least, unlike absolute differences, which
where most spend nothing reward whoever says that all do. The method with the least error wins the segment.

With too little history there is no contest, and the probabilistic method, which leans on published
experience, is taken; so it is in every segment that is too small to tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import Floats
from .fit import ENOUGH_REPEAT_BUYERS
from .value_history import Purchases
from .value_methods import (
    METHODS,
    PROBABILISTIC,
    SEGMENTS,
    Ahead,
    Learnt,
    foretell,
    foretell_probabilistic,
    learn,
    segment_of,
)

LONGEST_HOLDOUT = 52.0
PERIODS = 8
"""Into so many periods the holdout is divided; the history is counted in periods as long."""
FEWEST_WEEKS = 26.0
FEWEST_CUSTOMERS = 100
FEWEST_IN_SEGMENT = 50
FEWEST_BUYERS_IN_SEGMENT = 10


@dataclass(frozen=True, slots=True)
class Error:
    """How far off a method was: root mean squared per customer, and the sum foretold less the actual sum, per
    customer. In the unit of the amounts."""

    rmse: float
    bias: float


@dataclass(frozen=True, slots=True)
class Contest:
    """What the methods foretold of one segment; a method that could say nothing is not among the errors."""

    segment: str
    customers: int
    buyers: int
    """How many of them bought in the holdout."""
    actual: float
    """What they spent in it, per customer."""
    errors: Mapping[str, Error]
    winner: str
    decided: bool
    """False where the segment is too small to tell, and the probabilistic method is taken."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """The contests, one per segment that had customers, and what the methods learn from the whole history.

    Times in weeks on the clock of the purchases. Without enough history there are no contests, nothing is
    learnt, and `too_little` says what was missing.
    """

    origin: float | None
    until: float
    holdout: float | None
    customers: int
    contests: tuple[Contest, ...]
    learnt: Learnt | None
    too_little: str | None


def backtest(purchases: Purchases, until: float) -> Backtest:
    """Let the methods compete on the last third of the history, at most a year; purchases after `until` are
    not looked at."""
    purchases = purchases.until(until)
    span = until - float(purchases.week.min()) if purchases.week.size else 0.0
    holdout = min(span / 3, LONGEST_HOLDOUT)
    origin = until - holdout
    standing = purchases.until(origin).standing(origin)
    missing = _missing(span, len(standing.who), int(np.count_nonzero(standing.x)))
    if missing:
        people = np.unique(purchases.customer).size
        return Backtest(None, until, None, people, (), None, missing)
    past, period = purchases.until(origin), holdout / PERIODS
    learnt = learn(past, origin, period)
    said = {PROBABILISTIC: foretell_probabilistic(standing, Ahead(holdout))}
    said |= foretell(learnt, standing, Ahead(holdout))
    actual = purchases.spent_between(origin, until)[standing.who]
    segment = segment_of(standing, learnt.recent)
    contests = []
    for place, name in enumerate(SEGMENTS):
        rows = np.flatnonzero(segment == place)
        if rows.size:
            contests.append(_contest(name, {m: said[m][rows] for m in METHODS}, actual[rows]))
    now = learn(purchases, until, period)
    return Backtest(origin, until, holdout, len(standing.who), tuple(contests), now, None)


def _missing(span: float, customers: int, repeat_buyers: int) -> str | None:
    """What a comparison lacks, in words."""
    for least, found, what in (
        (FEWEST_WEEKS, span, "weeks of purchases"),
        (FEWEST_CUSTOMERS, customers, "customers who had bought before the period to foretell"),
        (ENOUGH_REPEAT_BUYERS, repeat_buyers, "customers who had bought again before the period to foretell"),
    ):
        if found < least:
            return f"needs {least:g} {what}, and there are {found:.4g}"
    return None


def _contest(name: str, said: Mapping[str, Floats], actual: Floats) -> Contest:
    errors = {}
    for method, expected in said.items():
        off = expected - actual
        if np.isfinite(off).all():
            errors[method] = Error(float(np.sqrt(np.mean(off**2))), float(off.mean()))
    buyers = int(np.count_nonzero(actual))
    decided = len(actual) >= FEWEST_IN_SEGMENT and buyers >= FEWEST_BUYERS_IN_SEGMENT
    winner = min(errors, key=lambda method: errors[method].rmse) if decided else PROBABILISTIC
    return Contest(name, len(actual), buyers, float(actual.mean()), errors, winner, decided)
