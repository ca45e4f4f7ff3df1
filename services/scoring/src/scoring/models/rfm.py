"""From purchases to one row (x, t_x, T) per customer, and from those to distinct rows with weights."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import Floats, floats

DAY = 1 / 7  # in weeks
CDNOW_GAP = 4.878  # weeks between purchases, the median in the CDNOW sample until 1997-09-30
MANY_ROWS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Recency and frequency: x repeat purchases, the last at t_x, seen until T; `weight` customers alike."""

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats

    @classmethod
    def of(cls, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, weight: ArrayLike = 1.0) -> "Rows":
        """Checked rows; ValueError names the first row that breaks a rule."""
        rows = cls(*floats(x, t_x, T, weight))
        rules = {
            "x, t_x, T and weight are finite": np.isfinite(rows.x + rows.t_x + rows.T + rows.weight),
            "x ≥ 0": rows.x >= 0,
            "weight ≥ 0": rows.weight >= 0,
            "0 ≤ t_x ≤ T": (rows.t_x >= 0) & (rows.t_x <= rows.T),
            "t_x = 0 where x = 0": (rows.x > 0) | (rows.t_x == 0),
        }
        for rule, kept in rules.items():
            if not kept.all():
                raise ValueError(f"row {int(np.argmin(kept))}: {rule}")
        return rows

    def __len__(self) -> int:
        return len(self.x)

    @property
    def customers(self) -> float:
        """How many customers the rows stand for."""
        return float(self.weight.sum())

    @property
    def repeat_buyers(self) -> float:
        """How many of them bought again."""
        return float(self.weight[self.x > 0].sum())

    def collapsed(self, step: float | None = None) -> "Rows":
        """Distinct rows with their weights, times rounded to `step` weeks (None: not rounded)."""
        t_x, T = self.t_x, self.T
        if step is not None:
            t_x, T = np.rint(t_x / step), np.rint(T / step)
        order = np.lexsort((self.x, t_x, T))
        x, t_x, T = self.x[order], t_x[order], T[order]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = (x[1:] != x[:-1]) | (t_x[1:] != t_x[:-1]) | (T[1:] != T[:-1])
        starts = np.flatnonzero(first)
        if not starts.size:
            return self
        weight = np.add.reduceat(self.weight[order], starts)
        scale = 1.0 if step is None else step
        return Rows(x[starts], t_x[starts] * scale, T[starts] * scale, weight)

    def for_fitting(self) -> "Rows":
        """The distinct rows; where they are very many, with times rounded to days.

        A day hardly matters to a rate per week, and a million customers who bought once become as many rows
        as there are days. Where the customers themselves are young it does: then to a hundredth of their age.
        """
        distinct = self.collapsed()
        if len(distinct) <= MANY_ROWS:
            return distinct
        return distinct.collapsed(min(DAY, float(np.median(distinct.T)) / 100) or None)

    def every(self, step: int) -> "Rows":
        """Each `step`-th row: a regular sample."""
        return Rows(self.x[::step], self.t_x[::step], self.T[::step], self.weight[::step])

    def pace(self) -> float:
        """The time between purchases in units of CDNOW's; 1 where nobody bought twice.

        The unit of time in which the values published for CDNOW become a prior for these customers.
        """
        return (self.time_between_purchases() or CDNOW_GAP) / CDNOW_GAP

    def time_between_purchases(self) -> float | None:
        """The median time between purchases in weeks; None where nobody bought twice.

        Each of a customer's x gaps is taken as their mean gap t_x/x, so that the rows alone are enough.
        """
        bought = (self.x > 0) & (self.t_x > 0) & (self.weight > 0)
        gap, gaps = self.t_x[bought] / self.x[bought], (self.x * self.weight)[bought]
        if not gap.size:
            return None
        order = np.argsort(gap)
        running = np.cumsum(gaps[order])
        return float(gap[order][np.searchsorted(running, running[-1] / 2)])


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One row per customer, in the order of `customer`; `mean_amount` of repeat purchases, 0 where none."""

    customer: NDArray[np.generic]
    rows: Rows
    mean_amount: Floats


def summarize(customer: ArrayLike, day: ArrayLike, amount: ArrayLike, until: date | np.datetime64) -> Summary:
    """Rows from purchases (customer, calendar day, amount) up to and with the day `until`.

    Purchases of one customer on one day are one purchase; later ones are left out. x counts the days after
    the first; t_x and T are counted from the first, in weeks.
    """
    end = np.asarray(until).astype("datetime64[D]")
    who, code = np.unique(np.asarray(customer), return_inverse=True)
    days = np.asarray(day).astype("datetime64[D]")
    amounts = np.asarray(amount, dtype=np.float64)
    seen = days <= end
    number = days[seen].astype(np.int64)
    code, amounts = code[seen], amounts[seen]
    order = np.lexsort((number, code))
    code, number, amounts = code[order], number[order], amounts[order]
    new_customer = np.ones(len(code), dtype=np.bool_)
    new_customer[1:] = code[1:] != code[:-1]
    new_day = new_customer.copy()
    new_day[1:] |= number[1:] != number[:-1]
    starts, day_starts = np.flatnonzero(new_customer), np.flatnonzero(new_day)
    if not starts.size:
        return Summary(who[:0], Rows.of([], [], [], []), np.empty(0))
    first, last = number[starts], number[np.append(starts[1:], len(code)) - 1]
    x = np.add.reduceat(new_day.astype(np.float64), starts) - 1
    per_day = np.add.reduceat(amounts, day_starts)
    per_day[new_customer[day_starts]] = 0.0  # the first purchase is not a repeat purchase
    spent = np.add.reduceat(per_day, np.flatnonzero(new_customer[day_starts]))
    mean_amount = np.divide(spent, x, out=np.zeros_like(x), where=x > 0)
    age = (end.astype(np.int64) - first) * DAY
    return Summary(who[code[starts]], Rows.of(x, (last - first) * DAY, age), mean_amount)
