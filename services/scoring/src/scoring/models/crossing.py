"""When, if nothing happens, a customer's churn will next rise over a threshold."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import elementwise

from .arrays import Floats, Ints, floats, in_pieces, joined
from .score import Customers, Model, log_odds_churn

FAR = 10 * 365.2425 / 7  # ten years in weeks: beyond, never
SECOND = 1 / (7 * 24 * 3600)
_LOOKS: Floats = np.geomspace(0.25, FAR, 40)


def crossing(customers: Customers, model: Model, horizon: float, threshold: ArrayLike) -> Floats:
    """Weeks until churn within `horizon` reaches the threshold; 0: it has; inf: not within ten years.

    Exact to a second. Without complaints churn only rises while nothing is bought, so that one crossing at
    most lies ahead. With them it may fall when a window ends: the first crossing is found between looks at
    the ends of windows, at the instants one horizon before them, and at ever rarer ones in between.
    """
    (over,) = floats(threshold)
    if not ((over > 0) & (over < 1)).all():
        raise ValueError("a threshold of churn lies between 0 and 1")
    goal = special.logit(np.broadcast_to(over, customers.x.shape))

    def find(piece: slice) -> Floats:
        rows = np.arange(len(goal))[piece]
        some = _Ahead(customers.take(rows), model, horizon, goal[piece])
        return some.first_crossing(_LOOKS)

    return joined(in_pieces(find, len(goal)))


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """The churn of some customers at instants ahead, against a goal in log-odds."""

    customers: Customers
    model: Model
    horizon: float
    goal: Floats

    def above(self, rows: Ints, weeks: Floats) -> Floats:
        """logit(churn) less the goal, so many weeks from now."""
        some = self.customers.take(rows)
        later = replace(some, T=some.T + weeks)
        return log_odds_churn(later, self.model, self.horizon) - self.goal[rows]

    def first_crossing(self, looks: Floats) -> Floats:
        """Per customer the first instant above the goal."""
        everyone = np.arange(len(self.goal))
        low, high = np.zeros(len(everyone)), np.full(len(everyone), np.inf)
        over = self.above(everyone, low) >= 0
        high[over] = 0.0
        bends = np.zeros(len(everyone), dtype=np.bool_)
        bends[self.customers.schedules.customer] = True
        straight = np.flatnonzero(~over & ~bends)
        high[straight[self.above(straight, np.full(len(straight), FAR)) >= 0]] = FAR
        waiting = np.flatnonzero(~over & bends)
        for at in self.instants(looks) if waiting.size else ():
            there = self.above(waiting, at[waiting]) >= 0
            high[waiting[there]] = at[waiting[there]]
            waiting = waiting[~there]
            low[waiting] = at[waiting]
            if not waiting.size:
                break
        between = np.flatnonzero(np.isfinite(high) & (high > low))
        if between.size:
            high[between] = self.narrow(between, low[between], high[between])
        return high

    def instants(self, looks: Floats) -> Floats:
        """Where to look, one column per customer: the common looks, and where their churn may bend."""
        schedules, T = self.customers.schedules, self.customers.T
        owner = np.repeat(schedules.customer, np.diff(schedules.first))
        place = np.arange(len(owner)) - np.repeat(schedules.first[:-1], np.diff(schedules.first))
        bends = np.full((int(place.max()) + 1, len(T)), FAR)
        bends[place, owner] = schedules.start - T[owner]
        common = np.broadcast_to(looks[:, None], (len(looks), len(T)))
        return np.sort(np.clip(np.vstack([common, bends, bends - self.horizon]), 0.0, FAR), axis=0)

    def narrow(self, rows: Ints, low: Floats, high: Floats) -> Floats:
        """The crossing between low and high, on a scale where far instants lie closer together."""

        def above(scaled: Floats, *args: Floats, **_: object) -> Floats:
            return self.above(args[0].astype(np.int64), np.expm1(scaled))

        found = elementwise.find_root(
            above,
            (np.log1p(low), np.log1p(high)),
            args=(rows,),
            tolerances={"xatol": SECOND / 4 / (1 + FAR), "xrtol": 0.0, "fatol": 0.0, "frtol": 0.0},
        )
        return np.asarray(np.expm1(found.x), dtype=np.float64)
