"""The files of analysts, read into arrays and written whole or not at all.

Every reader raises BadFile, which names file, line, column and rule of each problem, and OSError where the
file cannot be opened. Columns may stand in any order; UTF-8 with or without a byte order mark.
"""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from scoring.analysis.problems import BadFile, Problems
from scoring.analysis.table import Chunk, Instants, chunks
from scoring.models.arrays import Floats, Ints
from scoring.models.complaints import PHASES, SEVERITIES

__all__ = [
    "BadFile", "Complaints", "Rfm", "Transactions", "read_complaints", "read_json", "read_rfm",
    "read_transactions", "replacing", "write_csv", "write_json",
]  # fmt: skip

# Within these bounds, which are far beyond any business, every model computes what it should.
MOST_PURCHASES = 1e7
MOST_WEEKS = 1e6
MOST_MONEY = 1e15
LEAST_AMOUNT = 1e-6
LEAST_MEAN = 1e-15  # less than any mean of such amounts and of zeros
OUTCOMES = PHASES[1:]  # "mishandled", "recovered"
COMPLAINT_COLUMNS = ("customer", "opened", "resolved", "outcome", "severity")
UNKNOWN = "is a customer whose purchases are not given"
_ROWS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Transactions:
    """Purchases in the order of the file, one entry each, of `labels[customer]`.

    `labels` are the distinct customers in the order of their first line; `instant` is datetime64[s], midnight
    where the file has only a date, UTC where it has offsets; amount ≥ 0.
    """

    labels: list[str]
    customer: Ints
    instant: Instants
    amount: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Rfm:
    """One entry per customer, times in weeks since the first purchase.

    `mean_amount` is NaN where x = 0 and the file says nothing, None where the column is missing. `first`, the
    day of the first purchase as datetime64[D], None where the column is missing.
    """

    labels: list[str]
    x: Floats
    t_x: Floats
    T: Floats
    mean_amount: Floats | None
    first: Instants | None


@dataclass(frozen=True, slots=True, eq=False)
class Complaints:
    """Complaints in the order of the file, one entry each; `customer` is a place in the given labels.

    `opened` and `resolved` are datetime64[s]; resolved NaT: still open. `outcome` 0 none, 1 mishandled,
    2 recovered, and `severity` its weight: both as `Schedules.of_arrays` takes them. A complaint resolved
    before it was opened stays as it is; the models count it as open for no time.
    """

    customer: Ints
    opened: Instants
    resolved: Instants
    outcome: Ints
    severity: Floats


def read_transactions(path: Path) -> Transactions:
    """Columns customer, date (ISO, with a time or without), amount (0, or from 1e-6 to 1e15)."""
    problems = Problems(path)
    index: dict[str, int] = {}
    customer, instants, amounts = [np.empty(0, np.int64)], [_no_instants()], [np.empty(0)]
    for chunk in chunks(problems, ["customer", "date", "amount"]):
        codes = [index.setdefault(label, len(index)) for label in chunk.text("customer")]
        customer.append(np.array(codes, dtype=np.int64))
        instants.append(chunk.instants("date"))
        amounts.append(_money(chunk, "amount", LEAST_AMOUNT))
    return Transactions(
        list(index), np.concatenate(customer), np.concatenate(instants), np.concatenate(amounts)
    )


def read_rfm(path: Path) -> Rfm:
    """Columns customer, x, t_x, T, and where they are known mean_amount and first."""
    problems = Problems(path)
    line_of: dict[str, int] = {}
    names = ("x", "t_x", "T", "mean_amount")
    pieces: dict[str, list[Floats]] = {name: [] for name in names}
    first: list[Instants] = []
    for chunk in chunks(problems, ["customer", "x", "t_x", "T"], ["mean_amount", "first"]):
        for label, line in zip(chunk.text("customer"), chunk.lines, strict=True):
            before = line_of.setdefault(label, line)
            if before != line:
                problems.add(line, "customer", f"is on line {before} already", label)
        for name, values in _numbers_of(chunk).items():
            pieces[name].append(values)
        if "first" in chunk:
            first.append(chunk.instants("first").astype("datetime64[D]"))
    x, t_x, T, mean_amount = (np.concatenate([np.empty(0), *pieces[name]]) for name in names)
    return Rfm(
        list(line_of),
        x,
        t_x,
        T,
        mean_amount if pieces["mean_amount"] or not line_of else None,
        np.concatenate(first) if first else None,
    )


def _numbers_of(chunk: Chunk) -> dict[str, Floats]:
    """The numbers of these rows by column, each checked for itself and against the others."""
    x = chunk.numbers("x", 0, MOST_PURCHASES, whole=True)
    t_x, T = chunk.numbers("t_x", 0, MOST_WEEKS), chunk.numbers("T", 0, MOST_WEEKS)
    chunk.check("t_x", t_x > T, "is after T")
    chunk.check("t_x", (x == 0) & (t_x > 0), "is not 0, though x = 0: who bought once bought last at 0")
    chunk.check("t_x", (x > 0) & (t_x == 0), "is 0, though x > 0: who bought again did so later")
    found = {"x": x, "t_x": t_x, "T": T}
    if "mean_amount" in chunk:
        amount = _money(chunk, "mean_amount", LEAST_MEAN, empty=True)
        unsaid = np.array([not value.strip() for value in chunk.columns["mean_amount"]])
        chunk.check("mean_amount", unsaid & (x > 0), "is empty, though x > 0")
        found["mean_amount"] = amount
    return found


def _money(chunk: Chunk, column: str, least: float, *, empty: bool = False) -> Floats:
    """Amounts that are 0, or as much as computing with them takes."""
    amount = chunk.numbers(column, 0, MOST_MONEY, empty=empty)
    chunk.check(column, (amount > 0) & (amount < least), f"is neither 0 nor at least {least:g}")
    return amount


def read_complaints(path: Path, labels: Sequence[str]) -> Complaints:
    """Columns customer (one of the labels), opened, resolved, outcome, severity; dates ISO.

    resolved and outcome may be empty; an outcome needs resolved.
    """
    problems = Problems(path)
    known = {label: place for place, label in enumerate(labels)}
    customer, outcome, severity = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    opened, resolved = [_no_instants()], [_no_instants()]
    for chunk in chunks(problems, COMPLAINT_COLUMNS):
        who = places(chunk, known)
        chunk.check("customer", who < 0, UNKNOWN)
        customer.append(who)
        opened.append(chunk.instants("opened"))
        resolved.append(chunk.instants("resolved", empty=True))
        after, grave = outcome_and_severity(chunk)
        outcome.append(after)
        severity.append(grave)
    return Complaints(
        np.concatenate(customer),
        np.concatenate(opened),
        np.concatenate(resolved),
        np.concatenate(outcome),
        np.concatenate(severity),
    )


def places(chunk: Chunk, known: Mapping[str, int]) -> Ints:
    """Each row's customer as a place among the known ones, -1 where it is none of them."""
    return np.array([known.get(label.strip(), -1) for label in chunk.columns["customer"]], dtype=np.int64)


def outcome_and_severity(chunk: Chunk) -> tuple[Ints, Floats]:
    """As `Schedules.of_arrays` takes them."""
    outcomes = chunk.choices("outcome", OUTCOMES, empty=True)
    severities = chunk.choices("severity", list(SEVERITIES))
    unresolved = [not value.strip() for value in chunk.columns["resolved"]]
    early = np.array([bool(o) and u for o, u in zip(outcomes, unresolved, strict=True)])
    chunk.check("outcome", early, "is said, though resolved is empty")
    after = [PHASES.index(outcome) if outcome in OUTCOMES else 0 for outcome in outcomes]
    grave = [SEVERITIES.get(severity, np.nan) for severity in severities]
    return np.array(after, dtype=np.int64), np.array(grave)


def read_json(path: Path) -> object:
    """Any JSON; BadFile where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise BadFile(f"{path}: is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadFile(
            f"{path}, line {error.lineno}, column {error.colno}: is not JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise BadFile(f"{path}: is not JSON that anybody would write: nested too deeply") from None


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file to write, which takes the place of `path` when the block has ended without an error.

    What is no regular file (a pipe, /dev/stdout) is written directly.
    """
    target = path.resolve() if path.is_symlink() else path
    if path.is_relative_to("/dev") or (target.exists() and not target.is_file()):
        with path.open("a", encoding="utf-8", newline="") as file:
            yield file
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(target)
    except OSError as error:
        error.filename = str(path)  # what was asked for
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """The value, indented; ValueError where it has a number that JSON lacks."""
    with replacing(path) as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_csv(path: Path, columns: Mapping[str, Sequence[str] | Floats | Ints | None]) -> None:
    """The columns, numbers so that they read back the same; NaN, and a column that is None, as empty."""
    rows = max(len(values) for values in columns.values() if values is not None)
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for start in range(0, rows, _ROWS):
            part = slice(start, min(start + _ROWS, rows))
            writer.writerows(zip(*(_cells(values, part) for values in columns.values()), strict=True))


def _cells(values: Sequence[str] | Floats | Ints | None, part: slice) -> Sequence[object]:
    if values is None:
        return [""] * (part.stop - part.start)
    if not isinstance(values, np.ndarray):
        return values[part]
    cells: list[object] = values[part].tolist()
    return ["" if cell != cell else cell for cell in cells]


def _no_instants() -> Instants:
    return np.empty(0, dtype="datetime64[s]")
