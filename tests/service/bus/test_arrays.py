"""Long arrays reach PostgreSQL as text, with the values they had."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from shared.db import Database, array

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["plain", "null", "", 'a "quoted" {one}, two', "back\\slash", "line\nend", "喂", None]),
        ("uuid", [UUID(int=7), UUID(int=2**128 - 1)]),
        ("bigint", [0, -1, 2**63 - 1, None]),
        ("float8", [0.1, 1e-300, 1 / 3, -2.5e300, float("nan")]),
        ("timestamptz", [AT, None]),
        ("boolean", [True, False]),
        ("text", []),
    ],
)
async def test_an_array_keeps_its_values(db: Database, kind: str, values: Sequence[Any]) -> None:
    async with db.read() as connection:
        found = await connection.fetchval(f"SELECT $1::text::{kind}[]", array(values))
    assert found == [None if value != value else value for value in values], "what is no number is null"


async def test_an_array_keeps_bytes_as_base64(db: Database) -> None:
    async with db.read() as connection:
        statement = "SELECT array_agg(decode(n, 'base64')) FROM unnest($1::text::text[]) AS n"
        assert await connection.fetchval(statement, array([b"\0\\\xff", b"a"])) == [b"\0\\\xff", b"a"]
