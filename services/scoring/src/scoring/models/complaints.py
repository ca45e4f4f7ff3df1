"""Complaints as phases in time: open, then a window after a bad or a good resolution.

While several complaints of one customer overlap, each phase counts once, with the gravest severity among
them; different phases act together. The rule does not depend on the order in which complaints are listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Bools, Floats, Ints

Outcome = Literal["recovered", "mishandled"]
Severity = Literal["minor", "major", "critical"]

PHASES = ("open", "mishandled", "recovered")
OPEN, MISHANDLED, RECOVERED = range(3)
_MANY_PIECES = 50  # of one customer: from then on their sums are made one customer at a time
WINDOW_WEEKS: Mapping[str, float] = {"mishandled": 26.0, "recovered": 26.0}  # how long a resolution is felt
SEVERITIES: Mapping[str, float] = {"minor": 0.5, "major": 1.0, "critical": 1.5}


class Complaint(NamedTuple):
    """Instants in weeks since the customer's first purchase, negative before it; `resolved` None: still open.

    Resolved without an outcome ends the open phase and leaves no window. A complaint resolved before it was
    opened (clocks differ) was open for no time.
    """

    opened: float
    resolved: float | None = None
    outcome: Outcome | None = None
    severity: Severity = "major"


class _Spells(NamedTuple):
    """One phase of one complaint each."""

    customer: Ints
    start: Floats
    end: Floats
    phase: Ints
    severity: Floats

    def where(self, keep: Bools) -> "_Spells":
        customer, start, end, phase, severity = self
        return _Spells(customer[keep], start[keep], end[keep], phase[keep], severity[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Schedules:
    """For the rows that have complaints, pieces of time from 0 on in which the phases do not change.

    The pieces of the i-th such row, row number `customer[i]`, are those from `first[i]` to `first[i+1]`; a
    piece lasts until the next begins, the last for ever. `z` is the severity in force, a column per phase.
    `opened` is how many complaints were opened where a piece begins, those before the first purchase as if
    they were with it; of those before the last purchase only their number matters.
    """

    customer: Ints
    first: Ints
    start: Floats
    z: Floats
    opened: Ints

    @classmethod
    def none(cls) -> "Schedules":
        """Nobody complained."""
        return _NONE

    @classmethod
    def of(cls, complaints: Mapping[int, Sequence[Complaint]]) -> "Schedules":
        """From each row's complaints; rows without any may be left out."""
        flat = [(row, complaint) for row, each in complaints.items() for complaint in each]
        return cls.of_arrays(
            [row for row, _ in flat],
            [c.opened for _, c in flat],
            [np.nan if c.resolved is None else c.resolved for _, c in flat],
            [PHASES.index(c.outcome) if c.outcome else 0 for _, c in flat],
            [SEVERITIES[c.severity] for _, c in flat],
        )

    @classmethod
    def of_arrays(
        cls, row: ArrayLike, opened: ArrayLike, resolved: ArrayLike, outcome: ArrayLike, severity: ArrayLike
    ) -> "Schedules":
        """From one entry per complaint: resolved NaN: open; outcome 1 mishandled, 2 recovered, 0 none."""
        rows = np.asarray(row, dtype=np.int64)
        begun = np.asarray(opened, dtype=np.float64)
        ended = np.asarray(resolved, dtype=np.float64)
        ended = np.where(np.isnan(ended), np.inf, np.maximum(ended, begun))
        after = np.asarray(outcome, dtype=np.int64)
        grave = np.asarray(severity, dtype=np.float64)
        felt = np.array([0.0, *(WINDOW_WEEKS[name] for name in PHASES[1:])])[after]
        spells = _Spells(
            np.concatenate([rows, rows]),
            np.maximum(np.concatenate([begun, ended]), 0.0),
            np.concatenate([ended, ended + felt]),
            np.concatenate([np.full_like(after, OPEN), after]),
            np.concatenate([grave, grave]),
        )
        return _pieces(spells.where(spells.start < spells.end), rows, np.maximum(begun, 0.0))

    @property
    def owner(self) -> Ints:
        """The customer a piece belongs to, by place in `customer`."""
        return np.repeat(np.arange(len(self.customer)), np.diff(self.first))

    @property
    def end(self) -> Floats:
        """When each piece ends."""
        end = np.append(self.start[1:], np.inf)[: len(self.start)]
        end[self.first[1:] - 1] = np.inf
        return end

    @property
    def is_open(self) -> Bools:
        """Whether a complaint is open throughout a piece."""
        return np.asarray(self.z[:, OPEN] > 0)

    @property
    def is_closing(self) -> Bools:
        """Whether the last open complaint was closed where a piece begins."""
        before = np.append(False, self.is_open[:-1])[: len(self.start)]
        before[self.first[:-1]] = False
        return np.asarray(before & ~self.is_open)

    def take(self, rows: Ints) -> "Schedules":
        """The schedules of the given rows, renumbered by their place in `rows`."""
        if not self.customer.size:
            return self
        at = np.minimum(np.searchsorted(self.customer, rows), len(self.customer) - 1)
        found = np.flatnonzero(self.customer[at] == rows)
        at = at[found]
        counts = np.diff(self.first)[at]
        first = np.concatenate([[0], np.cumsum(counts)])
        pieces = np.repeat(self.first[at] - first[:-1], counts) + np.arange(first[-1])
        return Schedules(found, first, self.start[pieces], self.z[pieces], self.opened[pieces])

    def without(self, phase: int) -> "Schedules":
        """As if the phase had no effect."""
        z = self.z.copy()
        z[:, phase] = 0.0
        return Schedules(self.customer, self.first, self.start, z, self.opened)


def _pieces(spells: _Spells, opener: Ints, opened: Floats) -> Schedules:
    """Cut where a spell begins or ends, and where a complaint was opened, though it be for no time."""
    customer, found = np.unique(np.concatenate([spells.customer, opener]), return_inverse=True)
    who, opener = found[: len(spells.customer)], found[len(spells.customer) :]
    ends = np.isfinite(spells.end)
    owner = np.concatenate([np.arange(len(customer)), who, who[ends], opener])
    time = np.concatenate([np.zeros(len(customer)), spells.start, spells.end[ends], opened])
    order = np.lexsort((time, owner))
    owner, time = owner[order], time[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (owner[1:] != owner[:-1]) | (time[1:] != time[:-1])
    piece = np.empty(len(order), dtype=np.int64)
    piece[order] = np.cumsum(new) - 1
    first = np.searchsorted(owner[new], np.arange(len(customer) + 1))
    begins = piece[len(customer) : len(customer) + len(who)]
    stops = first[who + 1]  # an open spell reaches to the customer's last piece
    stops[ends] = piece[len(customer) + len(who) :][: ends.sum()]
    lasts = stops - begins
    covered = np.repeat(begins - np.concatenate([[0], np.cumsum(lasts)[:-1]]), lasts) + np.arange(lasts.sum())
    z = np.zeros((int(new.sum()), len(PHASES)))
    np.maximum.at(z, (covered, np.repeat(spells.phase, lasts)), np.repeat(spells.severity, lasts))
    openings = np.bincount(piece[len(piece) - len(opener) :], minlength=len(z)).astype(np.int64)
    return Schedules(customer.astype(np.int64), first.astype(np.int64), time[new], z, openings)


def running(schedules: Schedules, amounts: Floats) -> Floats:
    """For each piece the sum of its customer's amounts before it; exact, however many customers."""
    total = np.zeros_like(amounts)
    counts = np.diff(schedules.first)
    for one in np.flatnonzero(counts > _MANY_PIECES):
        first, last = schedules.first[one], schedules.first[one + 1] - 1
        total[first + 1 : last + 1] = np.cumsum(amounts[first:last])
    few = np.where(counts > _MANY_PIECES, 0, counts)
    for place in range(1, int(few.max(initial=0))):
        here = schedules.first[:-1][few > place] + place
        total[here] = total[here - 1] + amounts[here - 1]
    return total


def sums(owner: Ints, amounts: Floats, customers: int) -> Floats:
    """The sum of each customer's pieces."""
    return np.bincount(owner, amounts, minlength=customers).astype(np.float64)


def log_sum(owner: Ints, logs: Floats, customers: int) -> Floats:
    """ln Σ exp over each customer's pieces; −∞ for those who have none."""
    highest = np.full(customers, -np.inf)
    np.maximum.at(highest, owner, logs)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = sums(owner, np.exp(logs - highest[owner]), customers)
        return np.asarray(np.where(np.isfinite(highest), highest + np.log(total), highest))


_NONE = Schedules.of({})
