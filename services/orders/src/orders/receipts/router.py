"""HTTP in: receipts."""

from typing import Annotated, Literal
from uuid import UUID

from starlette.responses import Response

from orders.customers.enquiry import knowing_the_customer
from orders.deps import HomeCurrency
from orders.ordering import store as ordering
from orders.receipts import domain, store
from orders.receipts.domain import Receipt
from orders.receipts.schemas import ReceiptView, RecordReceipt
from shared.bus.outbox import emit
from shared.customers import Asking
from shared.db import new_id
from shared.instants import When
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.fields import same_currency
from shared.web.idempotency import Idempotency
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1", tags=["receipts"])

Reader = Annotated[Caller, Needs("receipts:read")]
Writer = Annotated[Caller, Needs("receipts:write")]


@router.post("/receipts", status_code=201, response_model=ReceiptView)
async def record_receipt(
    body: RecordReceipt,
    _caller: Writer,
    db: Db,
    clock: Time,
    currency: HomeCurrency,
    ask: Asking,
    idempotency: Idempotency,
) -> Response:
    """Record money from a customer, and which orders it pays."""
    same_currency(body.currency, currency)
    now = clock.now()
    receipt = Receipt(
        id=new_id(),
        customer_id=body.customer_id,
        amount_minor=body.amount_minor,
        currency=currency,
        method=body.method,
        reference=body.reference,
        received_at=When("received_at", body.received_at, now).instant(),
        allocations=body.allocated(),
    )
    paid = {allocation.order_id: allocation.amount_minor for allocation in receipt.allocations}

    async def record() -> Response:
        async with db.tx() as tx:
            await idempotency.begin(tx)
            await store.require_known_customer(tx, receipt.customer_id)
            recorded = domain.record(receipt, await ordering.lock_all(tx, paid))
            await store.insert(tx, receipt)
            await ordering.pay(tx, paid)
            (emitted,) = await emit(tx, recorded, at=now)
            sent = {
                "Location": f"/v1/receipts/{receipt.id}",
                "Sync-Token": sync_token("orders", emitted.key, emitted.seq),
            }
            view = ReceiptView.model_validate(receipt)
            return await idempotency.answer(tx, view, 201, sent, version=receipt.version)

    return await knowing_the_customer(db, ask, record)


@router.get("/receipts", response_model=Page[ReceiptView])
async def list_receipts(
    caller: Reader,
    db: Db,
    paging: Pages,
    customer_id: UUID | None = None,
    sort: Literal["-received_at"] = "-received_at",
) -> Response:
    """Receipts, the newest first."""
    filters = {"customer_id": customer_id, "seen_by": caller.customer_id}
    walk = paging.over("receipts", sort=sort, **filters)
    async with db.read() as tx:
        found = await store.list_receipts(tx, filters, after=walk.after, limit=walk.fetch)
    return answer(
        walk.page(found, ReceiptView.model_validate, key=lambda receipt: (receipt.received_at, receipt.id))
    )


@router.get("/receipts/{receipt_id}", response_model=ReceiptView)
async def get_receipt(receipt_id: UUID, caller: Reader, db: Db) -> Response:
    """One receipt."""
    async with db.read() as tx:
        receipt = await store.get(tx, receipt_id, seen_by=caller.customer_id)
    return answer(ReceiptView.model_validate(receipt), version=receipt.version)
