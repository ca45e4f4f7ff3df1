"""HTTP in: products."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from orders.catalogue import domain, importing, store
from orders.catalogue.schemas import AddProduct, ChangeProduct, ImportProduct, ProductView
from orders.deps import HomeCurrency
from shared.bus.outbox import Emitted, emit
from shared.db import new_id
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.concurrency import IfMatch, check
from shared.web.deps import Db, Time
from shared.web.fields import Word, same_currency
from shared.web.idempotency import Idempotency
from shared.web.imports import ImportView, described, import_rows
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1", tags=["products"])

Reader = Annotated[Caller, Needs("products:read")]
Writer = Annotated[Caller, Needs("products:write")]
Importer = Annotated[Caller, Needs("products:import")]


@router.post("/products", status_code=201, response_model=ProductView)
async def add_product(
    body: AddProduct, _caller: Writer, db: Db, clock: Time, currency: HomeCurrency, idempotency: Idempotency
) -> Response:
    """Add a product that can be ordered from now on."""
    same_currency(body.currency, currency)
    product = body.product(new_id())
    async with db.tx() as tx:
        await idempotency.begin(tx)
        await store.insert(tx, product)
        (emitted,) = await emit(tx, domain.added(product), at=clock.now())
        sent = dict([("Location", f"/v1/products/{product.id}"), _sync(emitted)])
        view = ProductView.model_validate(product)
        return await idempotency.answer(tx, view, 201, sent, version=product.version)


@router.get("/products", response_model=Page[ProductView])
async def list_products(
    _caller: Reader,
    db: Db,
    paging: Pages,
    sku: Annotated[Word | None, Query(description="Exactly this SKU.")] = None,
    category: Annotated[Word | None, Query(description="Exactly this category.")] = None,
    active: bool | None = None,
    sort: Literal["sku"] = "sku",
) -> Response:
    """Products by SKU."""
    filters = {"sku": sku, "category": category, "active": active}
    walk = paging.over("products", sort=sort, **filters)
    after = walk.after[0] if walk.after else None
    async with db.read() as tx:
        found = await store.list_products(tx, {**filters, "after": after}, walk.fetch)
    return answer(walk.page(found, ProductView.model_validate, key=lambda product: (product.sku,)))


@router.get("/products/{product_id}", response_model=ProductView)
async def get_product(product_id: UUID, _caller: Reader, db: Db) -> Response:
    """One product."""
    async with db.read() as tx:
        product = await store.get(tx, product_id)
    return answer(ProductView.model_validate(product), version=product.version)


@router.patch("/products/{product_id}", response_model=ProductView)
async def change_product(
    product_id: UUID, body: ChangeProduct, expected: IfMatch, _caller: Writer, db: Db, clock: Time
) -> Response:
    """Change a product; orders that were placed keep the price they were placed at."""
    async with db.tx() as tx:
        before = await store.lock(tx, product_id)
        check(expected, before.version, ProductView.model_validate(before))
        product, changes = domain.change(before, body.changes())
        await store.save(tx, product)
        emitted = await emit(tx, *changes, at=clock.now())
    sent = dict(map(_sync, emitted))
    return answer(ProductView.model_validate(product), version=product.version, headers=sent)


@router.post("/imports/products", response_model=ImportView, openapi_extra=described(ImportProduct))
async def import_products(
    request: Request, _caller: Importer, db: Db, clock: Time, currency: HomeCurrency
) -> Response:
    """Add many products: JSON Lines or CSV with the columns of a product, and an `id` if wanted."""
    save = partial(importing.save_products, db, clock, currency)
    return answer(await import_rows(request, ImportProduct, save))


def _sync(emitted: Emitted) -> tuple[str, str]:
    return "Sync-Token", sync_token("orders", emitted.key, emitted.seq)
