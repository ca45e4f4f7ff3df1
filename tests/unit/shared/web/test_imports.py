"""What an import makes of the files that people really have."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import Request

from shared.errors import Invalid, Malformed
from shared.web.fields import Body, Name, Text
from shared.web.imports import ImportView, Outcome, Row, import_rows

CSV = "text/csv"
JSON_LINES = "application/x-ndjson"


class Person(Body):
    name: Name
    notes: Text | None = None


class Import:
    """Imports a body that arrives in pieces, and keeps what was saved."""

    def __init__(self) -> None:
        self.saved: list[Person] = []

    async def __call__(self, body: bytes, kind: str = CSV, *, pieces: int = 1) -> ImportView:
        size = -(-len(body) // pieces) or 1
        waiting = [body[at : at + size] for at in range(0, len(body), size)]

        async def receive() -> dict[str, Any]:
            piece = waiting.pop(0) if waiting else b""
            return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

        request = Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive)
        return await import_rows(request, Person, self._save)

    async def _save(self, rows: Sequence[Row[Person]]) -> list[Outcome]:
        self.saved += [row.value for row in rows]
        return ["created" for _ in rows]

    @property
    def names(self) -> list[str]:
        return [person.name for person in self.saved]


@pytest.fixture
def load() -> Import:
    return Import()


@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
async def test_a_csv_is_read_however_it_arrives(load: Import, pieces: int) -> None:
    body = '\ufeffname,notes\r\n"Ann, 李","one\r\ntwo ""three"""\r\n\r\nBo,\r\nCy,"x"'.encode()
    assert (await load(body, pieces=pieces)).created == 3
    assert load.names == ["Ann, 李", "Bo", "Cy"]
    assert load.saved[0].notes == 'one\r\ntwo "three"'


async def test_a_quotation_mark_within_a_cell_is_a_part_of_it(load: Import) -> None:
    await load(b'name,notes\n5" pipe,\nBo,7" and 9"\nCy,\n')
    assert load.names == ['5" pipe', "Bo", "Cy"]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (b"A\rB,", "must be CSV: new-line character seen in unquoted field"),
        (b"A," + b"x" * 200_000, "must be CSV: field larger than field limit"),
        (b"\xff,", "must be UTF-8: invalid start byte at byte 1"),
        (b'"a\n\xff",', "must be UTF-8: invalid start byte at byte 4"),
        (b"A", "the row has 1 cells, the header 2"),
    ],
)
async def test_an_unreadable_row_is_named_and_the_others_are_imported(
    load: Import, row: bytes, rule: str
) -> None:
    done = await load(b"name,notes\nAnn,\n" + row + b"\nBo,\n")
    assert (done.rows, done.created, done.rejected) == (3, 2, 1)
    assert done.errors[0].row == 2
    assert rule in done.errors[0].rule
    assert load.names == ["Ann", "Bo"]


async def test_a_line_of_json_that_is_not_utf8_is_named_too(load: Import) -> None:
    done = await load(b'{"name": "Ann"}\n\n{"name": "\xff"}\n{"name": "Bo"}', JSON_LINES)
    assert [(error.row, "UTF-8" in error.rule) for error in done.errors] == [(2, True)]
    assert load.names == ["Ann", "Bo"]


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (b"Ann,", {"Ann", "name"}),
        (b"name;notes", {"name;notes", "name"}),
        (b"name,nots", {"nots"}),
        (b"name,notes,name", {"name"}),
        (b"notes", {"name"}),
    ],
)
async def test_a_first_line_that_does_not_name_the_fields_is_refused_at_once(
    load: Import, header: bytes, fields: set[str]
) -> None:
    with pytest.raises(Invalid) as refused:
        await load(header + b"\nBo,\n" * 3)
    assert {error.field for error in refused.value.errors} == fields
    assert not load.saved


async def test_an_unreadable_first_line_is_refused_at_once(load: Import) -> None:
    for body in ("name\nAnn\n".encode("utf-16"), b"name\rAnn\rBo\r"):
        with pytest.raises(Malformed, match="first line"):
            await load(body)


@pytest.mark.parametrize("rest", [b'Bo,"never', b'Bo,"' + b"x\n" * 600_000, b"x" * 1_100_000])
async def test_where_rows_cannot_be_told_apart_it_is_said_what_became_of_those_before(
    load: Import, rest: bytes
) -> None:
    with pytest.raises(Malformed, match="stopped after row 2") as stopped:
        await load(b"name,notes\nAnn,\n,\n,x\n" + rest)
    so_far = stopped.value.extra["so_far"]
    assert isinstance(so_far, ImportView)
    assert (so_far.rows, so_far.created, so_far.rejected) == (2, 1, 1)
    assert load.names == ["Ann"]


async def test_a_cell_of_many_lines_takes_no_time(load: Import) -> None:
    began = time.process_time()
    done = await load(b'name,notes\nAnn,"' + b"\n" * 500_000 + b'"\n')
    assert time.process_time() - began < 3  # the square of the lines took minutes
    assert done.rejected == 1
