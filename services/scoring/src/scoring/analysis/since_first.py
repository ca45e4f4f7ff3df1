"""Complaints beside an rfm.csv: counted in weeks since each customer's first purchase, known until T."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scoring.analysis.files import (
    COMPLAINT_COLUMNS,
    MOST_WEEKS,
    UNKNOWN,
    Rfm,
    outcome_and_severity,
    places,
)
from scoring.analysis.problems import Problems
from scoring.analysis.table import NEVER_SET, Chunk, Instants, chunks, instant, number, out_of_range
from scoring.models.arrays import Bools, Floats, Ints
from scoring.models.complaints import Schedules
from scoring.models.rfm import DAY


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The complaints known at T, how many they are, and how many of the file's are not what they seem."""

    schedules: Schedules
    complaints: int
    later: int  # opened after T, left out
    open_for_no_time: int  # resolved before opened

    @property
    def notes(self) -> list[str]:
        """What the analyst should know of it."""
        found = []
        if self.later:
            found.append(f"complaints opened after T, left out: {self.later}")
        if self.open_for_no_time:
            found.append(
                f"complaints resolved before they were opened, open for no time: {self.open_for_no_time}"
            )
        return found


def read(path: Path, rfm: Rfm) -> Known:
    """Columns customer, opened, resolved, outcome, severity.

    opened and resolved in weeks since the first purchase (negative before it) or as ISO dates, for which the
    customers need their `first`; resolved may be empty, and outcome with it. What was not known yet at T is
    taken away: complaints opened later, by day also of customers who first bought later, and later
    resolutions. BadFile names every problem.
    """
    problems = Problems(path)
    place_of = {label: place for place, label in enumerate(rfm.labels)}
    pieces: list[tuple[Ints, Floats, Floats, Ints, Floats]] = []
    later = backwards = 0
    for chunk in chunks(problems, COMPLAINT_COLUMNS):
        row = places(chunk, place_of)
        opened_on, resolved_on = _days(chunk, "opened"), _days(chunk, "resolved")
        unknown = (row < 0) & ~_after_all(opened_on, rfm)
        chunk.check("customer", unknown, UNKNOWN)
        opened = _weeks(chunk, "opened", opened_on, row, rfm)
        resolved = _weeks(chunk, "resolved", resolved_on, row, rfm)
        outcome, severity = outcome_and_severity(chunk)
        now = np.where(row >= 0, rfm.T[row] if len(rfm.T) else 0.0, -np.inf)
        known = opened <= now
        resolved, outcome = np.where(resolved > now, np.nan, resolved), np.where(resolved > now, 0, outcome)
        later += int((~known & ~unknown).sum())
        backwards += int((resolved < opened)[known].sum())
        pieces.append((row[known], opened[known], resolved[known], outcome[known], severity[known]))
    problems.raise_any()
    if not pieces:
        return Known(Schedules.none(), 0, 0, 0)
    columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    return Known(Schedules.of_arrays(*columns), len(columns[0]), later, backwards)


def _days(chunk: Chunk, column: str) -> Instants:
    """The days of the values that are dates; NaT where one is a number or nothing, others are problems."""
    given = chunk.columns[column]
    dated = [None if math.isfinite(number(value)) else instant(value) for value in given]
    wrong = np.array(
        [
            at is None
            and not math.isfinite(number(value))
            and not (column == "resolved" and not value.strip())
            for at, value in zip(dated, given, strict=True)
        ]
    )
    chunk.check(column, wrong, "is neither weeks since the first purchase nor a date like 1997-09-30")
    days = np.array([None if at is None else at.date() for at in dated], dtype="datetime64[D]")
    chunk.check(column, out_of_range(days), NEVER_SET)
    return days


def _weeks(chunk: Chunk, column: str, days: Instants, row: Ints, rfm: Rfm) -> Floats:
    """Weeks since the first purchase; NaN where nothing is said or the customer is unknown."""
    weeks = np.array([number(value) for value in chunk.columns[column]])
    far = np.abs(weeks) > MOST_WEEKS
    chunk.check(column, far, f"is not a number of weeks from {-MOST_WEEKS:,.0f} to {MOST_WEEKS:,.0f}")
    dated = ~np.isnat(days)
    if rfm.first is None:
        rule = "is a date, but the customers' file has no column first, from which to count the weeks"
        chunk.check(column, dated, rule)
        return weeks
    counted = dated & (row >= 0)
    weeks[counted] = (days[counted] - rfm.first[row[counted]]).astype(np.int64) * DAY
    return weeks


def _after_all(days: Instants, rfm: Rfm) -> Bools:
    """Whether the day is after the last one that the customers were seen until; no for what is no day."""
    if rfm.first is None or not len(rfm.first):
        return np.zeros(len(days), dtype=np.bool_)
    until = (rfm.first + np.rint(rfm.T / DAY).astype("timedelta64[D]")).max()
    return np.asarray(days > until)
