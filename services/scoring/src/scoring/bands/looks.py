"""When to look at a customer again if nothing happens: when a band begins or a figure changes noticeably.

While nothing happens every figure moves one way only (see `scoring.models.crossing`), the faster the more
often somebody used to buy. So the time for which all of them stay as they are, but for what nobody notices,
is found by halving, and whoever hardly changes any more is hardly ever looked at again.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from scoring.care.domain import Served
from scoring.models import loyalty
from scoring.models.arrays import Bools, Floats
from scoring.models.crossing import crossing
from scoring.models.loyalty import Standings
from scoring.models.score import Customers, churn, score
from scoring.serving.figures import Figures, repeat_rates, times_of_buying

CHANCE = 0.001
"""Changes of this much are noticeable: in churn and P(alive),"""
SHARE = 0.01
"""in the purchases expected and the value, as a share of them"""
FEWEST_PURCHASES, LEAST_VALUE = 0.001, 10.0
"""but no less than this, in purchases and minor units,"""
POINTS = 0.1
"""and in the loyalty index, of 100."""

_MINUTE = 1 / (7 * 24 * 60)
_RUNGS = _MINUTE * 2.0 ** np.arange(24)  # from a minute to sixteen years


class Looks(NamedTuple):
    """Weeks until each is to be looked at again, inf: when something happens; whether a band begins then."""

    weeks: Floats
    begins_band: Bools


def next_looks(
    people: Customers,
    found: Figures,
    loyal: Standings,
    goals: Floats,
    served: Served,
    horizon: float,
) -> Looks:
    """When each is to be looked at again.

    `found` are their figures within `horizon` weeks, `loyal` their loyalty, `goals` the churn at which the
    next band begins, inf in the last one. Where it begins before anything else is noticeable, that instant is
    exact: half a second at most after it, and never before. Otherwise it is a minute at least.
    """
    weeks = _quiet(people, found, loyal, served, horizon)
    reached = churn(_later(people, weeks), served.model, horizon) >= goals
    weeks[weeks == _RUNGS[-1]] = np.inf
    rows = np.flatnonzero(reached)
    if rows.size:
        weeks[rows] = crossing(people.take(rows), served.model, horizon, goals[rows])
    return Looks(weeks, reached)


def _quiet(people: Customers, found: Figures, loyal: Standings, served: Served, horizon: float) -> Floats:
    """For how long nothing noticeable happens to each: the highest rung at which nothing has."""
    now = _Now(people, found, loyal, served, horizon)
    low, high = np.zeros(len(people.x), np.int64), np.full(len(people.x), len(_RUNGS))
    while (high - low > 1).any():
        middle = (low + high) // 2
        changed = now.is_noticeable(_RUNGS[middle])
        high, low = np.where(changed, middle, high), np.where(changed, low, middle)
    return np.asarray(_RUNGS[low])


class _Now:
    """The figures of some customers, to compare later ones with."""

    def __init__(
        self, people: Customers, found: Figures, loyal: Standings, served: Served, horizon: float
    ) -> None:
        self.people, self.found, self.served, self.horizon = people, found, served, horizon
        self.expected = np.maximum(SHARE * found.expected_purchases, FEWEST_PURCHASES)
        self.value = np.maximum(SHARE * found.value_minor, LEAST_VALUE)
        seen = loyal.coverage * loyalty.total(served.loyalty_weights)
        self.points = np.divide(100.0, seen, out=np.zeros_like(seen), where=seen > 0)
        self.aging = self.weight_aging(people)

    def is_noticeable(self, weeks: Floats) -> Bools:
        """Whose figures will have changed noticeably in so many weeks."""
        people, found = _later(self.people, weeks), self.found
        then = score(people, self.served.model, self.horizon)
        changed = np.abs(then.churn - found.churn) >= CHANCE
        changed |= np.abs(then.p_alive - found.p_alive) >= CHANCE
        changed |= np.abs(then.expected_purchases - found.expected_purchases) >= self.expected
        changed |= np.abs(then.clv - found.value_minor) >= self.value
        changed |= (self.aging - self.weight_aging(people)) * self.points >= POINTS
        return changed

    def weight_aging(self, people: Customers) -> Floats:
        """The indicators of loyalty that time changes, each times its weight."""
        weights = self.served.loyalty_weights
        timely = np.nan_to_num(times_of_buying(people))
        return weights.repeat_rate * repeat_rates(people, self.served) + weights.time_of_buying * timely


def _later(people: Customers, weeks: Floats) -> Customers:
    return replace(people, T=people.T + weeks)
