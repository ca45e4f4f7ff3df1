"""CSV read in chunks of columns, with every problem named by file, line, column, value and rule."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoring.analysis.problems import Problems
from scoring.models.arrays import Bools, Floats

Instants = NDArray[np.datetime64]

NEVER_SET = "is not in the years 1900 to 2199: a date that was never set, or is not meant"
_ROWS = 4_000  # few enough that the garbage collector leaves them alone
_LINE_ENDS = re.compile("\r\n|\r|\n")
_EPOCH = datetime(1970, 1, 1).toordinal() * 86400
_NOT_A_TIME = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file by column, and the lines they stand on; columns the file lacks are absent."""

    lines: Sequence[int]
    columns: dict[str, Sequence[str]]
    problems: Problems

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def text(self, column: str) -> list[str]:
        """Text without the spaces around it, which is never empty."""
        values = [value.strip() for value in self.columns[column]]
        if not all(values):
            self.check(column, np.array([not value for value in values]), "may not be empty")
        return values

    def choices(self, column: str, known: Sequence[str], *, empty: bool = False) -> list[str]:
        """One of the known words; '' too where `empty`."""
        values = [value.strip() for value in self.columns[column]]
        allowed = {*known, ""} if empty else set(known)
        if not allowed.issuperset(values):
            unknown = np.array([value not in allowed for value in values])
            self.check(column, unknown, f"is none of {', '.join(known)}" + (" or empty" if empty else ""))
        return values

    def numbers(
        self, column: str, low: float, high: float, *, whole: bool = False, empty: bool = False
    ) -> Floats:
        """Finite numbers between two bounds; NaN where one is wrong, or empty and `empty` allows that."""
        given = self.columns[column]
        try:
            values = np.array(given, dtype=np.float64)
            if "_" in "".join(given):  # Python would read 1_000
                values = np.array([number(value) for value in given])
        except ValueError:
            values = np.array([number(value) for value in given])
        wrong = ~((values >= low) & (values <= high))
        if whole:
            wrong |= values != np.rint(values)
        if empty and wrong.any():
            wrong &= np.array([bool(value.strip()) for value in given])
        kind = "whole number" if whole else "number"
        self.check(column, wrong, f"is not a {kind} from {low:g} to {high:,.0f}")
        return np.where(wrong, np.nan, values)

    def instants(self, column: str, *, empty: bool = False) -> Instants:
        """ISO dates, with or without a time, in UTC where they name an offset; NaT where wrong or empty."""
        given = self.columns[column]
        distinct = {value: _seconds(value) for value in set(given)}
        seconds = np.array([distinct[value] for value in given], dtype=np.int64)
        values = seconds.view("datetime64[s]")
        wrong = np.isnat(values)
        if empty and wrong.any():
            wrong &= np.array([bool(value.strip()) for value in given])
        self.check(column, wrong, "is not a date like 1997-09-30 or 1997-09-30T12:00:00Z")
        self.check(column, out_of_range(values), NEVER_SET)
        return values

    def check(self, column: str, wrong: Bools, rule: str) -> None:
        """Tell of the rows that are wrong by this rule, with their values in the column."""
        for row in np.flatnonzero(wrong).tolist():
            self.problems.add(self.lines[row], column, rule, self.columns[column][row])


def out_of_range(values: Instants) -> Bools:
    """Dates that a file may hold and nobody meant; no for what is no date."""
    return (values < np.datetime64("1900-01-01")) | (values >= np.datetime64("2200-01-01"))


def number(text: str) -> float:
    """A number as Python reads it, without its underscores; NaN where it is none."""
    try:
        return np.nan if "_" in text else float(text)
    except ValueError:
        return np.nan


def instant(text: str) -> datetime | None:
    """An ISO date or instant, in UTC where it names an offset; None where it is none."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def chunks(problems: Problems, needed: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Chunk]:
    """The rows of the CSV file that `problems` is about, which names its columns in the first line.

    Columns may stand in any order; empty lines are passed over, those before the first one too. What breaks a
    rule is added to the problems, and a row that has too few or too many fields is left out. In the end
    BadFile if there were any; at once where the header is wrong.
    """
    with problems.path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            names = next((row for row in reader if row), None)
            columns = _header(problems, names, reader.line_num, needed, optional)
            line = reader.line_num + 1
            while rows := list(islice(reader, _ROWS)):
                lines: Sequence[int] = range(line, line + len(rows))
                if reader.line_num >= line + len(rows):  # a quoted field may go over several lines
                    lines = list(accumulate((_height(row) for row in rows[:-1]), initial=line))
                line = reader.line_num + 1
                if {len(row) for row in rows} != {len(columns)}:
                    rows, lines = _complete(problems, columns, rows, lines)
                if rows:
                    yield Chunk(lines, dict(zip(columns, zip(*rows, strict=True), strict=True)), problems)
        except csv.Error as error:
            problems.add(reader.line_num, None, f"is not CSV: {error}")
        except UnicodeDecodeError:
            problems.add(_undecodable(problems.path), None, "is not UTF-8")
    problems.raise_any()


def _height(row: list[str]) -> int:
    """How many lines of the file a row takes."""
    return 1 + sum(len(_LINE_ENDS.findall(value)) for value in row)


def _complete(
    problems: Problems, columns: list[str], rows: list[list[str]], lines: Sequence[int]
) -> tuple[list[list[str]], list[int]]:
    """The rows that have all fields; empty lines are passed over, others are problems."""
    for row, line in zip(rows, lines, strict=True):
        if row and len(row) != len(columns):
            problems.add(line, None, f"has {len(row)} fields, the first line {len(columns)}")
    whole = [place for place, row in enumerate(rows) if len(row) == len(columns)]
    return [rows[place] for place in whole], [lines[place] for place in whole]


def _header(
    problems: Problems, names: list[str] | None, end: int, needed: Sequence[str], optional: Sequence[str]
) -> list[str]:
    """The names of the columns, as read from the lines up to and with `end`."""
    wanted = ", ".join([*needed, *(f"{name} (optional)" for name in optional)])
    if names is None:
        found = "has nothing but empty lines" if end else "is empty"
        problems.add(1, None, f"the file {found}; its first line has to name the columns {wanted}")
    line = end - _height(names or []) + 1
    names = [name.strip() for name in names or []]
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        problems.add(line, None, f"columns are separated by commas: {wanted}", names[0])
        problems.raise_any()
    for place, name in enumerate(names):
        if name not in needed and name not in optional:
            problems.add(line, None, f"is not a column of this file, which has {wanted}", name)
        elif name in names[:place]:
            problems.add(line, name, "is there twice")
    for name in needed:
        if names and name not in names:
            problems.add(line, name, "is missing")
    problems.raise_any()
    return names


def _undecodable(path: Path) -> int:
    """The first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _seconds(text: str) -> int:
    at = instant(text)
    if at is None:
        return _NOT_A_TIME
    return at.toordinal() * 86400 + at.hour * 3600 + at.minute * 60 + at.second - _EPOCH
