"""The statements of the catalogue."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from orders.catalogue.domain import Product, sku_taken
from shared.db import Tx
from shared.errors import NotFound

_COLUMNS = "id, version, sku, name, category, unit, list_price_minor, active"
_GET = f"SELECT {_COLUMNS} FROM product WHERE id = $1"
_LOCK = f"{_GET} FOR NO KEY UPDATE"  # orders of the product need not wait
_FIND_ANY = f"SELECT {_COLUMNS} FROM product WHERE id = ANY($1::uuid[]) OR sku = ANY($2::text[])"
_INSERT = f"""
INSERT INTO product ({_COLUMNS})
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                     $8::bool[])
"""
_SAVE = """
UPDATE product SET version = $2, name = $3, category = $4, unit = $5, list_price_minor = $6, active = $7
WHERE id = $1
"""
_FILTERS = {"sku": "sku = ${}", "category": "category = ${}", "active": "active = ${}", "after": "sku > ${}"}


async def get(tx: Tx, product_id: UUID) -> Product:
    """The product; `NotFound` when there is none."""
    return _found(await tx.fetchrow(_GET, product_id), product_id)


async def lock(tx: Tx, product_id: UUID) -> Product:
    """The product, which nobody else may change until the transaction ends."""
    return _found(await tx.fetchrow(_LOCK, product_id), product_id)


async def list_products(tx: Tx, filters: Mapping[str, object], limit: int) -> list[Product]:
    """Products by SKU; a filter that is None does not filter."""
    given = {name: value for name, value in filters.items() if value is not None}
    return [_product(r) for r in await tx.fetch(_list_sql(tuple(given)), *given.values(), limit)]


@cache
def _list_sql(filters: tuple[str, ...]) -> str:
    where = " AND ".join(_FILTERS[name].format(n) for n, name in enumerate(filters, 1)) or "true"
    return f"SELECT {_COLUMNS} FROM product WHERE {where} ORDER BY sku LIMIT ${len(filters) + 1}"


async def list_any(tx: Tx, ids: Iterable[UUID], skus: Iterable[str]) -> list[Product]:
    """The products with one of these ids or SKUs."""
    return [_product(r) for r in await tx.fetch(_FIND_ANY, list(ids), list(skus))]


async def insert(tx: Tx, product: Product) -> None:
    """Add a product; `Conflict` when its SKU is taken."""
    try:
        await insert_many(tx, [product])
    except UniqueViolationError as taken:
        raise sku_taken(product.sku) from taken


async def insert_many(tx: Tx, products: Sequence[Product]) -> None:
    """Add the products; `UniqueViolationError` when somebody else added one of them just now."""
    ordered = sorted(products, key=lambda p: p.sku)  # two writers wait for each other, and never deadlock
    await tx.execute(
        _INSERT,
        [p.id for p in ordered],
        [p.version for p in ordered],
        [p.sku for p in ordered],
        [p.name for p in ordered],
        [p.category for p in ordered],
        [p.unit for p in ordered],
        [p.list_price_minor for p in ordered],
        [p.active for p in ordered],
    )


async def save(tx: Tx, product: Product) -> None:
    """Store a changed product."""
    await tx.execute(
        _SAVE, product.id, product.version, product.name, product.category, product.unit,
        product.list_price_minor, product.active,
    )  # fmt: skip


def _found(record: Record | None, product_id: UUID) -> Product:
    if record is None:
        raise NotFound(f"There is no product {product_id}.")
    return _product(record)


def _product(record: Record) -> Product:
    return Product(**record)
