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


def described(shape: type[Body]) -> dict[str, Any]:
    """The `openapi_extra` of an import route: what its body is, which the route reads as a stream."""
    row = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    columns = ",".join(name for name, field in row["properties"].items() if not _nested(field))
    return {
        "requestBody": {
            "required": True,
            "description": "JSON Lines, one such object a line, or CSV, whose first line names the fields.",
            "content": {
                JSON_LINES[0]: {"schema": row},
                CSV: {"schema": {"type": "string"}, "example": columns},
            },
        }
    }


def _nested(field: dict[str, Any]) -> bool:
    return "$ref" in str(field)


async def import_rows(
    request: Request, shape: type[B], save: Save[B], fold: Fold | None = None
) -> ImportView:
    """Read the body row by row and save it in batches: each batch wholly or, on a failure, not at all.

    Rows that break a rule are reported and left out; the others are imported. Raises
    `UnsupportedMediaType` for another format, `Invalid` for a CSV whose first line does not name fields,
    `Malformed` where no rows can be told apart; that one says what became of the rows before.
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

    def so_far() -> ImportView:
        return ImportView(rows=number, errors=sorted(errors, key=lambda e: e.row), **tally)

    try:
        async for parsed in _rows(request, shape, fold):
            number += 1
            if isinstance(parsed, Refused):
                reject(number, parsed.errors or [FieldError("", parsed.detail)])
                continue
            batch.append(Row(number, parsed))
            if len(batch) == BATCH:
                await flush()
    except Malformed as problem:
        if number == 0:
            raise
        await flush()
        raise Malformed(
            f"{problem.detail} Reading stopped after row {number}; so_far says what became of the rows up to "
            "there. Correct what follows and send it.",
            so_far=so_far(),
        ) from problem
    await flush()
    return so_far()


async def _rows(request: Request, shape: type[B], fold: Fold | None) -> AsyncIterator[B | Refused]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in JSON_LINES:
        async for line in _lines(request):
            if line.strip():
                yield _parsed(shape.model_validate_json, line)
    elif kind == CSV:
        async for row in _csv(request, shape, fold):
            yield row
    else:
        raise UnsupportedMediaType(
            f"An import reads {JSON_LINES[0]} or {CSV}, not {kind or 'a body without a Content-Type'}.",
            headers={"Accept-Post": f"{JSON_LINES[0]}, {CSV}"},
        )


async def _csv(request: Request, shape: type[B], fold: Fold | None) -> AsyncIterator[B | Refused]:
    def read(cells: dict[str, str]) -> B:
        if fold is None:
            return shape.model_validate_strings(cells)
        return shape.model_validate(fold(cells), strict=False)  # what is left as text is read as what it says

    header: list[str] | None = None
    async for line in _csv_lines(request):
        try:
            cells = [cell.strip() for cell in next(csv.reader([line.decode()]), [])]
        except (UnicodeDecodeError, csv.Error) as problem:
            unreadable = _unreadable(problem)
            if header is None:
                raise Malformed(f"The first line cannot be read: {unreadable.detail}.") from problem
            yield unreadable
            continue
        if not any(cells):
            continue
        if header is None:
            header = cells
            _check_header(header, shape)
        elif len(cells) != len(header):
            yield Invalid(f"the row has {len(cells)} cells, the header {len(header)}")
        else:
            yield _parsed(read, {name: cell for name, cell in zip(header, cells, strict=True) if cell})


def _check_header(header: Sequence[str], shape: type[Body]) -> None:
    """Refuse a first line that does not name fields, before it makes an error of every row."""
    names = {field.alias or name: field.is_required() for name, field in shape.model_fields.items()}
    known = ", ".join(names)
    named = [name for name in header if name]
    errors = [
        FieldError(name, f"extra_forbidden: no such field here; there are {known}")
        for name in dict.fromkeys(named)
        if name not in names
    ]
    errors += [
        FieldError(name, "twice: must be there once")
        for name in dict.fromkeys(named)
        if named.count(name) > 1
    ]
    errors += [
        FieldError(name, "missing: this column is required")
        for name, required in names.items()
        if required and name not in named
    ]
    if errors:
        raise Invalid(
            "The first line of a CSV must name the fields of its columns, separated by commas; see errors.",
            errors=errors,
        )


def _unreadable(problem: UnicodeDecodeError | csv.Error) -> Invalid:
    if isinstance(problem, UnicodeDecodeError):
        return Invalid(f"must be UTF-8: {problem.reason} at byte {problem.start + 1}")
    return Invalid(
        f"must be CSV: {str(problem).partition(' - ')[0]}; put cells with line breaks into quotation marks"
    )


def _parsed(read: Callable[[T], B], given: T) -> "B | Refused":
    try:
        return read(given)
    except ValidationError as problem:
        return from_validation(problem.errors())
    except Refused as refused:
        return refused


async def _csv_lines(request: Request) -> AsyncIterator[bytes]:
    """The lines of a CSV; one that breaks off inside a quoted cell together with those that end it."""
    held: list[bytes] = []
    size, quoted = 0, False
    async for line in _lines(request):
        quoted = _ends_quoted(line, quoted)
        held.append(line)
        size += len(line)
        if quoted:
            if size > MAX_ROW_BYTES:
                raise Malformed("A quoted cell of the CSV never ends; close its quotation mark.")
            continue
        yield b"".join(held) if len(held) > 1 else line
        held, size = [], 0
    if held:
        raise Malformed("The last quoted cell of the CSV never ends; close its quotation mark.")


def _ends_quoted(line: bytes, quoted: bool) -> bool:
    """Whether a quoted cell goes on after the line. A mark opens one only where a cell begins."""
    if b'"' not in line:
        return quoted
    at = 0
    while True:
        if not quoted:
            if line[at : at + 1] != b'"':
                at = line.find(b",", at) + 1
                if not at:
                    return False
                continue
            at += 1
        at = line.find(b'"', at)
        if at < 0:
            return True
        at += 1
        quoted = line[at : at + 1] == b'"'  # doubled: a mark within the cell
        if quoted:
            at += 1
        else:
            at = line.find(b",", at) + 1
            if not at:
                return False


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """The body's lines as they arrive, with their line ends."""
    held: list[bytes] = []
    size = 0
    begun = False
    async for chunk in request.stream():
        first, *more = chunk.split(b"\n")
        held.append(first)
        size += len(first)
        for piece in more:
            line = b"".join(held) + b"\n"
            yield line if begun else line.removeprefix(codecs.BOM_UTF8)
            begun = True
            held, size = [piece], len(piece)
        if size > MAX_ROW_BYTES:
            raise Malformed(f"A row is longer than {MAX_ROW_BYTES} bytes.")
    if size:
        line = b"".join(held)
        yield line if begun else line.removeprefix(codecs.BOM_UTF8)
