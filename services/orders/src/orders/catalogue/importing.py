"""Products in bulk, under the rules of single ones."""

from collections.abc import Sequence

from asyncpg import UniqueViolationError

from orders.catalogue import domain, store
from orders.catalogue.domain import Product
from orders.catalogue.schemas import ImportProduct
from shared.bus.outbox import emit
from shared.clock import Clock
from shared.db import Database, new_id
from shared.errors import Refused
from shared.web.fields import same_currency
from shared.web.imports import Outcome, Row


async def save_products(
    db: Database, clock: Clock, currency: str, batch: Sequence[Row[ImportProduct]]
) -> list[Outcome]:
    """Add what is new, in one transaction; products that are there already are compared."""
    try:
        return await _save(db, clock, currency, batch)
    except UniqueViolationError:  # somebody added one of them meanwhile: now it is there to be compared
        return await _save(db, clock, currency, batch)


async def _save(
    db: Database, clock: Clock, currency: str, batch: Sequence[Row[ImportProduct]]
) -> list[Outcome]:
    imported = [row.value.product(row.value.id or new_id()) for row in batch]
    async with db.tx() as tx:
        there = await store.list_any(tx, {p.id for p in imported}, {p.sku for p in imported})
        by_id = {product.id: product for product in there}
        by_sku = {product.sku: product for product in there}
        fresh: list[Product] = []
        outcomes: list[Outcome] = []
        for row, product in zip(batch, imported, strict=True):
            try:
                same_currency(row.value.currency, currency)
                known = by_id.get(product.id) or by_sku.get(product.sku)
                outcomes.append(_compared(known, product))
            except Refused as refused:
                outcomes.append(refused)
                continue
            if known is None:
                by_id[product.id] = by_sku[product.sku] = product
                fresh.append(product)
        await store.insert_many(tx, fresh)
        await emit(tx, *map(domain.added, fresh), at=clock.now())
    return outcomes


def _compared(known: Product | None, product: Product) -> Outcome:
    if known is None:
        return "created"
    if not domain.same_content(known, product):
        raise domain.differs(known, product)
    return "unchanged"
