"""Purchase histories of many customers as flat arrays, and what the methods of lifetime value read off them.

Instants are in weeks on any one clock. All purchases of a customer on one instant (a day, say) are one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Bools, Floats, Ints

_FIRST_OF_CLASS = np.array([2.0, 4.0, 8.0, 16.0])
CLASSES = len(_FIRST_OF_CLASS) + 1
"""Frequency classes: bought on 1 day, 2 to 3, 4 to 7, 8 to 15, 16 or more."""


def frequency_class(days: ArrayLike) -> Ints:
    """The frequency classes, from 0, of customers who have bought on so many days."""
    return np.searchsorted(_FIRST_OF_CLASS, np.asarray(days, dtype=np.float64), side="right")


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Customers at one instant; `who` are their codes, the other arrays are in the same order.

    x repeat purchase days, the last at t_x, seen until T (weeks since the first); `spent` on all days,
    `repeat` of that after the first.
    """

    who: Ints
    x: Floats
    t_x: Floats
    T: Floats
    spent: Floats
    repeat: Floats

    @property
    def frequency(self) -> Ints:
        """The frequency classes."""
        return frequency_class(self.x + 1)

    @property
    def mean_repeat(self) -> Floats:
        """The mean amount of repeat purchases; 0 where there are none."""
        return np.divide(self.repeat, self.x, out=np.zeros_like(self.x), where=self.x > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """From each period in which somebody bought to the next in which they did, or to the end.

    `length` in periods, at least 1 where `ended` by a purchase, else the whole periods of silence so far;
    `frequency` class when it began; where it ended, class `then` and what was spent in that period.
    """

    frequency: Ints
    length: Ints
    ended: Bools
    then: Ints
    spend: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Purchases:
    """Purchase days sorted by customer and instant; customers are numbered 0, 1, …, `customers` − 1."""

    customer: Ints
    week: Floats
    amount: Floats
    customers: int

    @classmethod
    def of(cls, customer: ArrayLike, week: ArrayLike, amount: ArrayLike) -> "Purchases":
        """From purchases in any order; ValueError names the first row that breaks a rule."""
        who, when, much = np.asarray(customer), np.asarray(week, np.float64), np.asarray(amount, np.float64)
        if not who.shape == when.shape == much.shape or who.ndim != 1:
            raise ValueError("customer, week and amount are as long as each other")
        if who.size and not np.issubdtype(who.dtype, np.integer):
            raise ValueError(f"customers are numbered with integers, not {who.dtype}")
        who = who.astype(np.int64)
        rules = {
            "customer ≥ 0": who >= 0,
            "week is finite": np.isfinite(when),
            "amount is finite and ≥ 0": np.isfinite(much) & (much >= 0),
        }
        for rule, kept in rules.items():
            if not kept.all():
                raise ValueError(f"row {int(np.argmin(kept))}: {rule}")
        order = np.lexsort((when, who))
        who, when, much = who[order], when[order], much[order]
        first = _changes(who) | _changes(when)
        starts = np.flatnonzero(first)
        total = np.add.reduceat(much, starts) if starts.size else much
        return cls(who[starts], when[starts], total, int(who[-1]) + 1 if who.size else 0)

    def until(self, week: float) -> "Purchases":
        """Those up to and with an instant; customers keep their numbers."""
        seen = self.week <= week
        return Purchases(self.customer[seen], self.week[seen], self.amount[seen], self.customers)

    def spent_between(self, after: float, until: float) -> Floats:
        """The amount of each customer, by number, after one instant until another."""
        then = (self.week > after) & (self.week <= until)
        return np.bincount(self.customer[then], self.amount[then], minlength=self.customers).astype(
            np.float64
        )

    def standing(self, now: float) -> Standing:
        """The customers as they are at an instant not before any purchase."""
        starts = np.flatnonzero(_changes(self.customer))
        if not starts.size:
            return Standing(self.customer, *(np.empty(0) for _ in range(5)))
        ends = np.append(starts[1:], len(self.customer))
        first, spent = self.week[starts], np.add.reduceat(self.amount, starts)
        return Standing(
            self.customer[starts],
            (ends - starts - 1).astype(np.float64),
            self.week[ends - 1] - first,
            now - first,
            spent,
            np.where(ends - starts > 1, spent - self.amount[starts], 0.0),
        )

    def spells(self, period: float, now: float) -> Spells:
        """Silences in periods of so many weeks, counted back from an instant not before any purchase."""
        back = np.floor((now - self.week) / period).astype(np.int64)
        starts = np.flatnonzero(_changes(self.customer) | _changes(back))
        if not starts.size:
            return Spells(starts, starts, starts.astype(np.bool_), starts, np.empty(0))
        customer, back = self.customer[starts], back[starts]
        spend = np.add.reduceat(self.amount, starts)
        last_day = np.append(starts[1:], len(self.customer)) - 1
        first_day = np.maximum.accumulate(np.where(_changes(self.customer), np.arange(len(self.customer)), 0))
        frequency = frequency_class(last_day - first_day[last_day] + 1)
        ended = np.append(customer[1:] == customer[:-1], False)
        length = np.where(ended, back - np.append(back[1:], 0), back)
        return Spells(frequency, length, ended, np.append(frequency[1:], 0), np.append(spend[1:], 0.0))


def _changes(values: Ints | Floats) -> Bools:
    changed = np.ones(len(values), dtype=np.bool_)
    changed[1:] = values[1:] != values[:-1]
    return changed
