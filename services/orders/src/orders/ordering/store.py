"""The statements of orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, repeat
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record

from orders.customers.domain import Customer, NotCopied
from orders.ordering.domain import Line, Order, PricedProduct
from shared.db import Tx
from shared.errors import NotFound

# One statement for what placing an order needs to know, one for what it leaves behind.
_FOR_PLACING = """
SELECT c.id AS customer_id, c.version, c.status, c.class_code, c.credit_limit_minor,
       p.id, p.sku, p.list_price_minor, p.active
FROM unnest($2::uuid[]) AS wanted (id)
LEFT JOIN product p ON p.id = wanted.id
LEFT JOIN customer c ON c.id = $1
"""
_INSERT = """
WITH placed AS (
    INSERT INTO sales_order (id, version, customer_id, status, channel, currency, ordered_at,
                             total_minor, list_total_minor, completed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING number
), lines AS (
    INSERT INTO sales_order_line (order_id, product_id, quantity, list_amount_minor, amount_minor, n)
    SELECT $1, * FROM unnest($11::uuid[], $12::int[], $13::bigint[], $14::bigint[]) WITH ORDINALITY
)
SELECT number FROM placed
"""
_INSERT_MANY = """
WITH placed AS (
    INSERT INTO sales_order (id, version, customer_id, status, channel, currency, ordered_at,
                             total_minor, list_total_minor, completed_at)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                         $7::timestamptz[], $8::bigint[], $9::bigint[], $10::timestamptz[])
    RETURNING id, number
), lines AS (
    INSERT INTO sales_order_line (order_id, n, product_id, quantity, list_amount_minor, amount_minor)
    SELECT * FROM unnest($11::uuid[], $12::int[], $13::uuid[], $14::int[], $15::bigint[], $16::bigint[])
)
SELECT id, number FROM placed
"""
_SAVE = """
UPDATE sales_order SET version = $2, status = $3, completed_at = $4, cancelled_at = $5, cancel_reason = $6
WHERE id = $1
"""
_PAY = """
UPDATE sales_order o SET paid_minor = o.paid_minor + paid.amount_minor, version = o.version + 1
FROM unnest($1::uuid[], $2::bigint[]) AS paid (order_id, amount_minor) WHERE o.id = paid.order_id
"""
_COLUMNS = """
o.id, o.version, o.number, o.customer_id, o.status, o.channel, o.currency, o.ordered_at,
o.total_minor, o.list_total_minor, o.paid_minor, o.completed_at, o.cancelled_at, o.cancel_reason,
ARRAY(SELECT (l.product_id, l.quantity, l.list_amount_minor, l.amount_minor)
      FROM sales_order_line l WHERE l.order_id = o.id ORDER BY l.n) AS lines
"""
_SEEN_BY = "($2::uuid IS NULL OR o.customer_id = $2)"
_GET = f"SELECT {_COLUMNS} FROM sales_order o WHERE o.id = $1 AND {_SEEN_BY}"
_LOCK = f"SELECT {_COLUMNS} FROM sales_order o WHERE o.id = $1 AND {_SEEN_BY} FOR UPDATE"
_LIST_ANY = f"SELECT {_COLUMNS} FROM sales_order o WHERE o.id = ANY($1::uuid[])"
_LOCK_ALL = f"{_LIST_ANY} ORDER BY o.id FOR UPDATE"
_PRODUCTS = """
SELECT id, sku, list_price_minor, active FROM product WHERE id = ANY($1::uuid[]) OR sku = ANY($2::text[])
"""
_FILTERS = {
    "customer_id": "o.customer_id = ${}",
    "status": "o.status = ${}",
    "channel": "o.channel = ${}",
    "ordered_from": "o.ordered_at >= ${}",
    "ordered_to": "o.ordered_at < ${}",
    "seen_by": "o.customer_id = ${}",
}


class ForPlacing(NamedTuple):
    """What placing an order needs to know."""

    customer: Customer
    products: dict[UUID, PricedProduct]


async def load_for_placing(tx: Tx, customer_id: UUID, product_ids: Iterable[UUID]) -> ForPlacing:
    """The customer and the products of an order to be; `NotCopied` when the customer is not known here."""
    records = await tx.fetch(_FOR_PLACING, customer_id, list(product_ids))
    first = tuple(records[0])
    if first[0] is None:
        raise NotCopied(customer_id)
    return ForPlacing(
        Customer(*first[:5]), {r["id"]: PricedProduct(*tuple(r)[5:]) for r in records if r["id"] is not None}
    )


async def list_products(tx: Tx, ids: Iterable[UUID], skus: Iterable[str]) -> list[PricedProduct]:
    """The products with one of these ids or SKUs."""
    return [PricedProduct(*r) for r in await tx.fetch(_PRODUCTS, list(ids), list(skus))]


async def insert(tx: Tx, order: Order) -> Order:
    """Store a new order; answers it with its number."""
    number = await tx.fetchval(
        _INSERT,
        order.id,
        order.version,
        order.customer_id,
        order.status,
        order.channel,
        order.currency,
        order.ordered_at,
        order.total_minor,
        order.list_total_minor,
        order.completed_at,
        [line.product_id for line in order.lines],
        [line.quantity for line in order.lines],
        [line.list_amount_minor for line in order.lines],
        [line.amount_minor for line in order.lines],
    )
    return replace(order, number=number)


async def insert_many(tx: Tx, orders: Sequence[Order]) -> list[Order]:
    """Store new orders; answers them with their numbers. `UniqueViolationError` when an id is taken."""
    ordered = sorted(orders, key=lambda o: o.id)  # two imports wait for each other, and never deadlock
    lines = list(chain.from_iterable(o.lines for o in ordered))
    numbers = await tx.fetch(
        _INSERT_MANY,
        [o.id for o in ordered],
        [o.version for o in ordered],
        [o.customer_id for o in ordered],
        [o.status for o in ordered],
        [o.channel for o in ordered],
        [o.currency for o in ordered],
        [o.ordered_at for o in ordered],
        [o.total_minor for o in ordered],
        [o.list_total_minor for o in ordered],
        [o.completed_at for o in ordered],
        list(chain.from_iterable(repeat(o.id, len(o.lines)) for o in ordered)),
        list(chain.from_iterable(range(1, len(o.lines) + 1) for o in ordered)),
        [line.product_id for line in lines],
        [line.quantity for line in lines],
        [line.list_amount_minor for line in lines],
        [line.amount_minor for line in lines],
    )
    number_of = {r["id"]: r["number"] for r in numbers}
    return [replace(order, number=number_of[order.id]) for order in orders]


async def get(tx: Tx, order_id: UUID, *, seen_by: UUID | None = None) -> Order:
    """The order; `NotFound` when there is none, or none that this customer (if any) may see."""
    return _found(await tx.fetchrow(_GET, order_id, seen_by), order_id)


async def lock(tx: Tx, order_id: UUID, *, seen_by: UUID | None = None) -> Order:
    """The order, which nobody else may change until the transaction ends."""
    return _found(await tx.fetchrow(_LOCK, order_id, seen_by), order_id)


async def lock_all(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, Order]:
    """Those of the orders that there are, locked in sorted order."""
    return {r["id"]: _order(r) for r in await tx.fetch(_LOCK_ALL, list(ids))}


async def list_any(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, Order]:
    """Those of the orders that there are."""
    return {r["id"]: _order(r) for r in await tx.fetch(_LIST_ANY, list(ids))}


async def list_orders(
    tx: Tx, filters: Mapping[str, object], *, newest_first: bool, after: tuple[Any, ...] | None, limit: int
) -> list[Order]:
    """Orders by when they were ordered; a filter that is None does not filter."""
    given = {name: value for name, value in filters.items() if value is not None}
    text = _list_sql(tuple(given), newest_first, after is not None)
    return [_order(r) for r in await tx.fetch(text, *given.values(), *(after or ()), limit)]


@cache
def _list_sql(filters: tuple[str, ...], newest_first: bool, goes_on: bool) -> str:
    # Only the filters that are given: a plan for all that may be given could use no index.
    conditions = [_FILTERS[name].format(n) for n, name in enumerate(filters, 1)]
    n = len(conditions)
    direction, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
    if goes_on:
        conditions.append(f"(o.ordered_at, o.id) {beyond} (${n + 1}, ${n + 2})")
        n += 2
    where = " AND ".join(conditions) or "true"
    return (
        f"SELECT {_COLUMNS} FROM sales_order o WHERE {where}"
        f" ORDER BY o.ordered_at {direction}, o.id {direction} LIMIT ${n + 1}"
    )


async def save(tx: Tx, order: Order) -> None:
    """Store an order that went on."""
    await tx.execute(
        _SAVE, order.id, order.version, order.status, order.completed_at, order.cancelled_at,
        order.cancel_reason,
    )  # fmt: skip


async def pay(tx: Tx, amounts: Mapping[UUID, int]) -> None:
    """Count money towards orders, which the caller has locked."""
    await tx.execute(_PAY, list(amounts), list(amounts.values()))


def _found(record: Record | None, order_id: UUID) -> Order:
    if record is None:
        raise NotFound(f"There is no order {order_id}.")
    return _order(record)


def _order(record: Record) -> Order:
    values = dict(record)
    return Order(**{**values, "lines": tuple(Line(*line) for line in values["lines"])})
