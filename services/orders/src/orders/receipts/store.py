"""The statements of receipts."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Record

from orders.customers.domain import NotCopied
from orders.receipts.domain import Allocation, Receipt
from shared.db import Tx
from shared.errors import NotFound

_IS_KNOWN = "SELECT EXISTS (SELECT FROM customer WHERE id = $1)"
_INSERT = """
WITH recorded AS (
    INSERT INTO receipt (id, version, customer_id, amount_minor, allocated_minor, currency, method,
                         reference, received_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
)
INSERT INTO receipt_allocation (receipt_id, order_id, amount_minor)
SELECT $1, * FROM unnest($10::uuid[], $11::bigint[])
"""
_COLUMNS = """
r.id, r.version, r.customer_id, r.amount_minor, r.currency, r.method, r.reference, r.received_at,
ARRAY(SELECT (a.order_id, a.amount_minor) FROM receipt_allocation a WHERE a.receipt_id = r.id
      ORDER BY a.order_id) AS allocations
"""
_GET = f"SELECT {_COLUMNS} FROM receipt r WHERE r.id = $1 AND ($2::uuid IS NULL OR r.customer_id = $2)"
_FILTERS = {"customer_id": "r.customer_id = ${}", "seen_by": "r.customer_id = ${}"}


async def require_known_customer(tx: Tx, customer_id: UUID) -> None:
    """`NotCopied` when the customer is not known here."""
    if not await tx.fetchval(_IS_KNOWN, customer_id):
        raise NotCopied(customer_id)


async def insert(tx: Tx, receipt: Receipt) -> None:
    """Store a new receipt with its allocations."""
    await tx.execute(
        _INSERT,
        receipt.id,
        receipt.version,
        receipt.customer_id,
        receipt.amount_minor,
        receipt.allocated_minor,
        receipt.currency,
        receipt.method,
        receipt.reference,
        receipt.received_at,
        [allocation.order_id for allocation in receipt.allocations],
        [allocation.amount_minor for allocation in receipt.allocations],
    )


async def get(tx: Tx, receipt_id: UUID, *, seen_by: UUID | None = None) -> Receipt:
    """The receipt; `NotFound` when there is none, or none that this customer (if any) may see."""
    record = await tx.fetchrow(_GET, receipt_id, seen_by)
    if record is None:
        raise NotFound(f"There is no receipt {receipt_id}.")
    return _receipt(record)


async def list_receipts(
    tx: Tx, filters: Mapping[str, object], *, after: tuple[Any, ...] | None, limit: int
) -> list[Receipt]:
    """Receipts, the newest first; a filter that is None does not filter."""
    given = {name: value for name, value in filters.items() if value is not None}
    text = _list_sql(tuple(given), after is not None)
    return [_receipt(r) for r in await tx.fetch(text, *given.values(), *(after or ()), limit)]


@cache
def _list_sql(filters: tuple[str, ...], goes_on: bool) -> str:
    conditions = [_FILTERS[name].format(n) for n, name in enumerate(filters, 1)]
    n = len(conditions)
    if goes_on:
        conditions.append(f"(r.received_at, r.id) < (${n + 1}, ${n + 2})")
        n += 2
    where = " AND ".join(conditions) or "true"
    return (
        f"SELECT {_COLUMNS} FROM receipt r WHERE {where}"
        f" ORDER BY r.received_at DESC, r.id DESC LIMIT ${n + 1}"
    )


def _receipt(record: Record) -> Receipt:
    values = dict(record)
    return Receipt(**{**values, "allocations": tuple(Allocation(*a) for a in values["allocations"])})
