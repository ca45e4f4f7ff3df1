"""Bulk import: rows of JSON Lines or CSV, read as they arrive, under the same rules as single requests."""

import codecs
import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from fastapi import Request
from pydantic import ValidationError

from shared.errors import FieldError, Invalid, Malformed, Refused, UnsupportedMediaType
from shared.web.fields import Body, View
from shared.web.problems import from_validation, show

B = TypeVar("B", bound=Body)
T = TypeVar("T")

BATCH = 500
MAX_ROW_BYTES = 1_048_576
MAX_LISTED_ERRORS = 1000

JSON_LINES = ("application/x-ndjson", "application/jsonl")
CSV = "text/csv"

Outcome = Literal["created", "unchanged"] | Refused
"""What became of a row: new, already there just so (a repeated import changes nothing), or refused."""


class RowError(View):
    """One rule that one row broke. `row` counts from 1, a CSV's header line not included."""

    row: int
    field: str
    rule: str
    value: Any = None


class ImportView(View):
    """What became of the rows; `errors` lists the first thousand broken rules."""

    rows: int
    created: int
    unchanged: int
    rejected: int
    errors: list[RowError]


@dataclass(frozen=True, slots=True)
class Row(Generic[B]):
    """A readable row and its number."""

    number: int
    value: B


Save = Callable[[Sequence[Row[B]]], Awaitable[Sequence[Outcome]]]
"""Stores a batch in one transaction of its own; answers an outcome per row, in order."""

Fold = Callable[[dict[str, str]], dict[str, object]]
"""Turns a CSV row's cells into the shape's fields where a cell is not a field."""


async def import_rows(
    request: Request, shape: type[B], save: Save[B], fold: Fold | None = None
) -> ImportView:
    """Read the body row by row and save it in batches: each batch wholly or, on a failure, not at all.

    Rows that break a rule are reported and left out; the others are imported. Raises
    `UnsupportedMediaType` for another format, `Malformed` for bytes that are not UTF-8.
    """
    tally = {"created": 0, "unchanged": 0, "rejected": 0}
    errors: list[RowError] = []
    number = 0
    batch: list[Row[B]] = []

    def reject(row: int, broken: Sequence[FieldError]) -> None:
        tally["rejected"] += 1
        room = MAX_LISTED_ERRORS - len(errors)
        errors.extend(
            RowError(row=row, field=e.field, rule=e.rule, value=show(e.value)) for e in broken[: max(room, 0)]
        )

    async def flush() -> None:
        if not batch:
            return
        for row, outcome in zip(batch, await save(batch), strict=True):
            if isinstance(outcome, Refused):
                reject(row.number, outcome.errors or [FieldError("", outcome.detail)])
            else:
                tally[outcome] += 1
        batch.clear()

    async for parsed in _rows(request, shape, fold):
        number += 1
        if isinstance(parsed, Refused):
            reject(number, parsed.errors or [FieldError("", parsed.detail)])
            continue
        batch.append(Row(number, parsed))
        if len(batch) == BATCH:
            await flush()
    await flush()
    return ImportView(rows=number, errors=sorted(errors, key=lambda e: e.row), **tally)


async def _rows(request: Request, shape: type[B], fold: Fold | None) -> AsyncIterator[B | Refused]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in JSON_LINES:
        async for line in _lines(request):
            if line.strip():
                yield _parsed(lambda given: shape.model_validate_json(given), line)
    elif kind == CSV:
        async for row in _csv(request, shape, fold):
            yield row
    else:
        raise UnsupportedMediaType(
            f"An import reads {JSON_LINES[0]} or {CSV}, not {kind or 'a body without a Content-Type'}."
        )


async def _csv(request: Request, shape: type[B], fold: Fold | None) -> AsyncIterator[B | Refused]:
    def read(cells: dict[str, str]) -> B:
        if fold is None:
            return shape.model_validate_strings(cells)
        return shape.model_validate(fold(cells), strict=False)  # what is left as text is read as what it says

    header: list[str] | None = None
    pending = ""
    async for line in _lines(request):
        pending += line
        if pending.count('"') % 2:  # a quoted cell goes on in the next line
            if len(pending) > MAX_ROW_BYTES:
                raise Malformed("A quoted cell of the CSV never ends; close its quotation mark.")
            continue
        cells, pending = next(csv.reader([pending]), []), ""
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            continue
        if len(cells) != len(header):
            yield Invalid(f"the row has {len(cells)} cells, the header {len(header)}")
            continue
        named = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
        yield _parsed(read, named)
    if pending:
        yield Invalid("the last quoted cell never ends")


def _parsed(read: Callable[[T], B], given: T) -> "B | Refused":
    try:
        return read(given)
    except ValidationError as problem:
        return from_validation(problem.errors())
    except Refused as refused:
        return refused


async def _lines(request: Request) -> AsyncIterator[str]:
    """The body's lines as they arrive, with their line ends."""
    decode = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    try:
        async for chunk in request.stream():
            *lines, rest = (rest + decode.decode(chunk)).split("\n")
            for line in lines:
                yield f"{line}\n"
            if len(rest) > MAX_ROW_BYTES:
                raise Malformed(f"A row is longer than {MAX_ROW_BYTES} bytes.")
        rest += decode.decode(b"", final=True)
    except UnicodeDecodeError as problem:
        raise Malformed(f"The body is not UTF-8: {problem.reason}.") from problem
    if rest:
        yield rest
