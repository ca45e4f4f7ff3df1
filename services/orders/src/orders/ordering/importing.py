"""Orders in bulk, those of the past too, under the rules and with the events of single ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import UniqueViolationError

from orders.customers import store as customers
from orders.customers.domain import Customer
from orders.customers.enquiry import Enquiry
from orders.ordering import domain, store
from orders.ordering.domain import Order, PricedProduct, Said, Wanted
from orders.ordering.schemas import ImportLine, ImportOrder
from shared.bus.outbox import emit
from shared.clock import Clock
from shared.db import Database, Tx, new_id
from shared.errors import FieldError, Invalid, Refused
from shared.instants import When
from shared.web.fields import same_currency
from shared.web.imports import Outcome, Row

Rows = Sequence[Row[ImportOrder]]


@dataclass(frozen=True)
class _Known:
    """What a batch is judged by: read before, or taken from its earlier rows."""

    orders: dict[UUID, Order]
    customers: Mapping[UUID, Customer]
    products: Mapping[UUID, PricedProduct]
    by_sku: Mapping[str, PricedProduct]


@dataclass(frozen=True)
class OrderImport:
    """One import on its way."""

    db: Database
    clock: Clock
    currency: str
    enquiry: Enquiry

    async def save(self, batch: Rows) -> list[Outcome]:
        """Record what is new, in one transaction; orders that are there already are compared."""
        await self.enquiry.learn({row.value.customer_id for row in batch})
        try:
            return await self._save(batch)
        except UniqueViolationError:  # somebody recorded one of them meanwhile: now it is there to compare
            return await self._save(batch)

    async def _save(self, batch: Rows) -> list[Outcome]:
        outcomes: list[Outcome] = []
        fresh: list[Order] = []
        async with self.db.tx() as tx:
            known = await _load(tx, batch)
            now = self.clock.now()
            for row in batch:
                try:
                    order = self._read(row.value, known, now)
                except Refused as refused:
                    outcomes.append(_in_words_of(row.value, refused))
                    continue
                outcomes.append("created" if order else "unchanged")
                if order:
                    known.orders[order.id] = order
                    fresh.append(order)
            numbered = await store.insert_many(tx, fresh)
            await emit(tx, *(event for order in numbered for event in domain.history(order)), at=now)
        return outcomes

    def _read(self, row: ImportOrder, known: _Known, now: datetime) -> Order | None:
        """The order that a row tells of; None when it is there just so."""
        same_currency(row.currency, self.currency)
        lines = _wanted(row, known)
        there = known.orders.get(row.id) if row.id else None
        if there is not None:
            said = Said(row.customer_id, row.channel, self.currency, row.ordered_at, row.status, lines)
            domain.require_same(there, said)
            return None
        customer = known.customers.get(row.customer_id)
        if customer is None:
            raise self.enquiry.refusal(row.customer_id)
        return domain.place(
            row.id or new_id(),
            customer,
            lines,
            known.products,
            channel=row.channel,
            currency=self.currency,
            ordered_at=When("ordered_at", row.ordered_at, now).instant(),
            status=row.status,
        )


async def _load(tx: Tx, batch: Rows) -> _Known:
    rows = [row.value for row in batch]
    lines = [line for row in rows for line in (row.lines or (row,))]
    products = await store.list_products(
        tx, {line.product_id for line in lines if line.product_id}, {line.sku for line in lines if line.sku}
    )
    return _Known(
        orders=await store.list_any(tx, [row.id for row in rows if row.id]),
        customers=await customers.list_known(tx, {row.customer_id for row in rows}),
        products={product.id: product for product in products},
        by_sku={product.sku: product for product in products},
    )


def _wanted(row: ImportOrder, known: _Known) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(_product_of(row, n, line, known), line.quantity, line.amount_minor, line.list_amount_minor)
        for n, line in enumerate(row.all_lines())
    )


def _product_of(row: ImportOrder, n: int, line: ImportLine, known: _Known) -> UUID:
    name, value = ("sku", line.sku) if line.sku else ("product_id", line.product_id)
    product = known.by_sku.get(line.sku) if line.sku else known.products.get(line.product_id or UUID(int=0))
    if product is None:
        raise Invalid(
            f"There is no product with the {name} {value}; add it first.",
            errors=[FieldError(row.field(n, name), f"must be the {name} of a product", value)],
        )
    return product.id


def _in_words_of(row: ImportOrder, refused: Refused) -> Refused:
    """The refusal with the fields named as in the row, which may have its one line without `lines`."""
    if row.lines is None:
        refused.errors = tuple(e._replace(field=e.field.removeprefix("lines.0.")) for e in refused.errors)
    return refused
