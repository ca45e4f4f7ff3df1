"""HTTP in: orders."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from orders.customers.enquiry import Enquiry, knowing_the_customer
from orders.deps import HomeCurrency
from orders.ordering import domain, store
from orders.ordering.importing import OrderImport
from orders.ordering.schemas import CancelOrder, ImportOrder, OrderView, PlaceOrder
from shared.bus.outbox import Emitted, emit
from shared.customers import Asking
from shared.db import new_id
from shared.events.orders import Channel, OrderStatus
from shared.instants import When, require_period
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.concurrency import IfMatchGiven, check
from shared.web.deps import Db, Time
from shared.web.fields import Instant, same_currency
from shared.web.idempotency import Idempotency
from shared.web.imports import ImportView, described, import_rows
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1", tags=["orders"])

Reader = Annotated[Caller, Needs("orders:read")]
Writer = Annotated[Caller, Needs("orders:write")]
Importer = Annotated[Caller, Needs("orders:import")]


@router.post("/orders", status_code=201, response_model=OrderView)
async def place_order(
    body: PlaceOrder,
    caller: Writer,
    db: Db,
    clock: Time,
    currency: HomeCurrency,
    ask: Asking,
    idempotency: Idempotency,
) -> Response:
    """Place an order at list prices; one of the past (`ordered_at`) needs the scope `orders:import`."""
    same_currency(body.currency, currency)
    wanted = body.wanted()

    async def place() -> Response:
        async with db.tx() as tx:
            await idempotency.begin(tx)
            now = clock.now()
            customer, products = await store.load_for_placing(
                tx, body.customer_id, [line.product_id for line in wanted]
            )
            draft = domain.place(
                new_id(),
                customer,
                wanted,
                products,
                channel=body.channel,
                currency=currency,
                ordered_at=When(
                    "ordered_at", body.ordered_at, now, caller.missing("orders:import")
                ).instant(),
            )
            order = await store.insert(tx, draft)
            (emitted,) = await emit(tx, *domain.history(order), at=now)
            sent = {"Location": f"/v1/orders/{order.id}", **_sync(emitted)}
            return await idempotency.answer(tx, OrderView.of(order), 201, sent, version=order.version)

    return await knowing_the_customer(db, ask, place)


@router.get("/orders", response_model=Page[OrderView])
async def list_orders(
    caller: Reader,
    db: Db,
    paging: Pages,
    customer_id: UUID | None = None,
    status: OrderStatus | None = None,
    channel: Channel | None = None,
    ordered_from: Annotated[Instant | None, Query(description="Ordered then or later.")] = None,
    ordered_to: Annotated[Instant | None, Query(description="Ordered before.")] = None,
    sort: Literal["ordered_at", "-ordered_at"] = "-ordered_at",
) -> Response:
    """Orders by when they were ordered, the newest first unless `sort` says otherwise."""
    require_period("ordered_from", ordered_from, "ordered_to", ordered_to)
    filters = {
        "customer_id": customer_id,
        "status": status,
        "channel": channel,
        "ordered_from": ordered_from,
        "ordered_to": ordered_to,
        "seen_by": caller.customer_id,
    }
    walk = paging.over("orders", sort=sort, **filters)
    async with db.read() as tx:
        found = await store.list_orders(
            tx, filters, newest_first=sort.startswith("-"), after=walk.after, limit=walk.fetch
        )
    return answer(walk.page(found, OrderView.of, key=lambda order: (order.ordered_at, order.id)))


@router.get("/orders/{order_id}", response_model=OrderView)
async def get_order(order_id: UUID, caller: Reader, db: Db) -> Response:
    """One order."""
    async with db.read() as tx:
        order = await store.get(tx, order_id, seen_by=caller.customer_id)
    return answer(OrderView.of(order), version=order.version)


@router.post("/orders/{order_id}/complete", response_model=OrderView)
async def complete_order(
    order_id: UUID, caller: Writer, expected: IfMatchGiven, db: Db, clock: Time, idempotency: Idempotency
) -> Response:
    """Everything ordered was handed over."""
    async with db.tx() as tx:
        await idempotency.begin(tx)
        before = await store.lock(tx, order_id, seen_by=caller.customer_id)
        check(expected, before.version, OrderView.of(before))
        order, event = domain.complete(before, clock.now())
        await store.save(tx, order)
        (emitted,) = await emit(tx, event, at=event.completed_at)
        return await idempotency.answer(
            tx, OrderView.of(order), headers=_sync(emitted), version=order.version
        )


@router.post("/orders/{order_id}/cancel", response_model=OrderView)
async def cancel_order(
    order_id: UUID,
    caller: Writer,
    expected: IfMatchGiven,
    db: Db,
    clock: Time,
    idempotency: Idempotency,
    body: CancelOrder | None = None,
) -> Response:
    """The order counts no longer; what was paid on it stays with the customer."""
    reason = body.reason if body else None
    async with db.tx() as tx:
        await idempotency.begin(tx)
        before = await store.lock(tx, order_id, seen_by=caller.customer_id)
        check(expected, before.version, OrderView.of(before))
        order, event = domain.cancel(before, reason, clock.now())
        await store.save(tx, order)
        (emitted,) = await emit(tx, event, at=event.cancelled_at)
        return await idempotency.answer(
            tx, OrderView.of(order), headers=_sync(emitted), version=order.version
        )


@router.post("/imports/orders", response_model=ImportView, openapi_extra=described(ImportOrder))
async def import_orders(
    request: Request, _caller: Importer, db: Db, clock: Time, currency: HomeCurrency, ask: Asking
) -> Response:
    """Record many orders: JSON Lines or CSV, a row per order. A row with an `id` can be sent again safely."""
    order_import = OrderImport(db, clock, currency, Enquiry(db, ask))
    return answer(await import_rows(request, ImportOrder, order_import.save))


def _sync(emitted: Emitted) -> dict[str, str]:
    return {"Sync-Token": sync_token("orders", emitted.key, emitted.seq)}
