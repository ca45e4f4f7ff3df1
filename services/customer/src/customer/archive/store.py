"""Every SQL statement of the archive."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from customer.archive import finding
from customer.archive.domain import FieldChange, number_taken, wire_name
from customer.archive.tables import Customer, CustomerChange
from shared.db import Tx, row
from shared.errors import NotFound
from shared.web.auth import Caller
from shared.web.paging import Walk

_FIELDS = tuple(Customer.model_fields)
_COLUMNS = ", ".join(wire_name(field) for field in _FIELDS)
_SELECTED = _COLUMNS.replace(" class,", ' class AS "class_",')

# One JSON document carries any number of files, whose lists differ in length.
_INSERT = f"""
INSERT INTO customer ({_COLUMNS})
SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::customer, $1::jsonb)
ON CONFLICT DO NOTHING RETURNING id
"""
_UPDATE = f"""
UPDATE customer SET ({_COLUMNS}) =
    (SELECT {_COLUMNS} FROM jsonb_populate_record(NULL::customer, $2::jsonb))
WHERE id = $1
"""
_FIND = f"SELECT {_SELECTED} FROM customer WHERE id = $1"
_LOCK = f"{_FIND} FOR UPDATE"
_FIND_ALL = f"SELECT {_SELECTED} FROM customer WHERE id = ANY($1::uuid[])"
_TAKEN = "SELECT number FROM customer WHERE number = ANY($1::text[])"
_NEXT_NUMBERS = """
SELECT number FROM (
    SELECT 'C-' || lpad(n::text, greatest(6, length(n::text)), '0') AS number, n
    FROM (SELECT nextval('customer_number') AS n FROM generate_series(1, $1)) AS given
) AS numbered
WHERE number <> ALL($2::text[]) AND NOT EXISTS (SELECT FROM customer c WHERE c.number = numbered.number)
ORDER BY n
"""
_RECORD = """
INSERT INTO customer_change (customer_id, version, field, old, new, actor, changed_at, reason)
SELECT $1, $2, field, old, new, $6, $7, $8
FROM unnest($3::text[], $4::jsonb[], $5::jsonb[]) AS change (field, old, new)
"""
_CHANGES = """
SELECT customer_id, version, field, old, new, actor, changed_at, reason FROM customer_change
WHERE customer_id = $1 AND ($2::integer IS NULL OR (version, field) < ($2, $3::text))
ORDER BY version DESC, field DESC LIMIT $4
"""

Sort = Literal["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at", "number", "-number"]
"""What a list may be in the order of; with a minus, from the last to the first."""


class Filters(NamedTuple):
    """Which customers a list is of; everything that is given must apply. Phone and email are normalised."""

    type: str | None = None
    status: str | None = None
    level: str | None = None
    class_: str | None = None
    region: str | None = None
    industry: str | None = None
    source: str | None = None
    owner_id: str | None = None
    number: str | None = None
    tag: str | None = None
    phone: str | None = None
    email: str | None = None
    search: str | None = None


_CONDITIONS = {
    "tag": "tags @> ARRAY[{}::text]",
    "phone": "reachable_phones @> ARRAY[{}::text]",
    "email": "reachable_emails @> ARRAY[{}::text]",
}


async def insert(tx: Tx, customers: Collection[Customer]) -> set[UUID]:
    """Add the files; answers the ids of those added, which lack those whose id or number is taken."""
    in_order = sorted(customers, key=lambda customer: customer.id)  # two imports at once do not deadlock
    added = await tx.fetch(_INSERT, _document([_record(customer) for customer in in_order]))
    return {record["id"] for record in added}


async def take_numbers(tx: Tx, count: int, *, but_not: Collection[str] = ()) -> list[str]:
    """The next free customer numbers; those that were stated are passed over, ever more at a time."""
    found: list[str] = []
    ask = count
    while len(found) < count:
        found += [record["number"] for record in await tx.fetch(_NEXT_NUMBERS, ask, list(but_not))]
        ask = min(2 * ask, 100_000)
    return found[:count]


async def get(tx: Tx, customer_id: UUID, caller: Caller) -> Customer:
    """The file; raises `NotFound` when there is none that the caller may see."""
    return _seen(await tx.fetchrow(_FIND, customer_id), customer_id, caller)


async def lock(tx: Tx, customer_id: UUID, caller: Caller) -> Customer:
    """The file, which nobody else changes before the transaction ends; raises `NotFound`."""
    return _seen(await tx.fetchrow(_LOCK, customer_id), customer_id, caller)


async def find_all(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Customer]:
    """Those of the files that there are, by id."""
    return {record["id"]: _customer(record) for record in await tx.fetch(_FIND_ALL, list(ids))}


async def find_taken(tx: Tx, numbers: Collection[str]) -> set[str]:
    """Those of the numbers that belong to a customer."""
    return {record["number"] for record in await tx.fetch(_TAKEN, list(numbers))}


async def update(
    tx: Tx, customer: Customer, changes: Sequence[FieldChange], *, actor: str, reason: str | None
) -> None:
    """Save a changed file and its history; raises `Conflict` when its new number is taken."""
    try:
        await tx.execute(_UPDATE, customer.id, _document(_record(customer)))
    except asyncpg.UniqueViolationError as taken:
        raise number_taken(customer.number) from taken
    await tx.execute(
        _RECORD,
        customer.id,
        customer.version,
        [change.field for change in changes],
        [_document(change.old) for change in changes],
        [_document(change.new) for change in changes],
        actor,
        customer.updated_at,
        reason,
    )


async def list_customers(tx: Tx, filters: Filters, sort: Sort, walk: Walk) -> list[Customer]:
    """The files of one page, and one more when there are more."""
    statement, values = _listing(filters, sort, walk.after, walk.fetch)
    return [_customer(record) for record in await tx.fetch(statement, *values)]


def sort_key(customer: Customer, sort: Sort) -> tuple[str | datetime, UUID]:
    """What tells a file's place in a list from all others."""
    return getattr(customer, sort.removeprefix("-")), customer.id


async def list_changes(tx: Tx, customer_id: UUID, walk: Walk) -> list[CustomerChange]:
    """The history of one file, the latest change first."""
    version, field = walk.after or (None, None)
    records = await tx.fetch(_CHANGES, customer_id, version, field, walk.fetch)
    return [
        row(CustomerChange, {**record, "old": json.loads(record["old"]), "new": json.loads(record["new"])})
        for record in records
    ]


def _listing(
    filters: Filters, sort: Sort, after: tuple[Any, ...] | None, limit: int
) -> tuple[str, list[Any]]:
    values: list[Any] = []
    conditions: list[str] = []

    def require(condition: str, *wanted: Any) -> None:
        places = [f"${len(values) + at}" for at in range(1, len(wanted) + 1)]
        values.extend(wanted)
        conditions.append(condition.format(*places))

    for field, wanted in filters._asdict().items():
        if wanted is not None and field != "search":
            require(_CONDITIONS.get(field, f"{wire_name(field)} = {{}}"), wanted)
    for word in finding.words(filters.search or ""):
        if word.pieces:
            require("search_pieces @> {}::text[]", word.pieces)
        require("search_text LIKE {}", word.pattern)
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    if after is not None:
        require(f"({column}, id) {'<' if descending else '>'} ({{}}, {{}})", *after)
    direction = "DESC" if descending else "ASC"
    where = " AND ".join(conditions) or "true"
    return (
        f"SELECT {_SELECTED} FROM customer WHERE {where}"
        f" ORDER BY {column} {direction}, id {direction} LIMIT {limit}",
        values,
    )


def _seen(record: asyncpg.Record | None, customer_id: UUID, caller: Caller) -> Customer:
    if record is None or not caller.sees(customer_id):
        raise NotFound(f"There is no customer {customer_id}.")
    return _customer(record)


def _customer(record: asyncpg.Record) -> Customer:
    return row(
        Customer,
        {
            **record,
            "addresses": json.loads(record["addresses"]),
            "contacts": json.loads(record["contacts"]),
        },
    )


def _record(customer: Customer) -> dict[str, Any]:
    return {wire_name(field): getattr(customer, field) for field in _FIELDS}


def _document(value: object) -> str:
    return to_json(value).decode()
