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
    """

    customer: Ints
    first: Ints
    start: Floats
    z: Floats

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
        return _pieces(spells.where(spells.start < spells.end))

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
        return Schedules(found, first, self.start[pieces], self.z[pieces])

    def without(self, phase: int) -> "Schedules":
        """As if the phase had no effect."""
        z = self.z.copy()
        z[:, phase] = 0.0
        return Schedules(self.customer, self.first, self.start, z)


def _pieces(spells: _Spells) -> Schedules:
    customer, who = np.unique(spells.customer, return_inverse=True)
    ends = np.isfinite(spells.end)
    owner = np.concatenate([np.arange(len(customer)), who, who[ends]])
    time = np.concatenate([np.zeros(len(customer)), spells.start, spells.end[ends]])
    order = np.lexsort((time, owner))
    owner, time = owner[order], time[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (owner[1:] != owner[:-1]) | (time[1:] != time[:-1])
    piece = np.empty(len(order), dtype=np.int64)
    piece[order] = np.cumsum(new) - 1
    first = np.searchsorted(owner[new], np.arange(len(customer) + 1))
    begins = piece[len(customer) : len(customer) + len(who)]
    stops = first[who + 1]  # an open spell reaches to the customer's last piece
    stops[ends] = piece[len(customer) + len(who) :]
    lasts = stops - begins
    covered = np.repeat(begins - np.concatenate([[0], np.cumsum(lasts)[:-1]]), lasts) + np.arange(lasts.sum())
    z = np.zeros((int(new.sum()), len(PHASES)))
    np.maximum.at(z, (covered, np.repeat(spells.phase, lasts)), np.repeat(spells.severity, lasts))
    return Schedules(customer.astype(np.int64), first.astype(np.int64), time[new], z)


_NONE = Schedules.of({})
