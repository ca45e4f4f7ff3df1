"""Customers over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from customer.archive import domain, reach, store
from customer.archive.schemas import (
    ChangeCustomer,
    ChangeView,
    CreateCustomer,
    CustomerView,
    OwnFileView,
    view,
)
from customer.archive.store import Filters, Sort
from customer.settings import Deployment
from shared.bus.outbox import emit
from shared.db import new_id
from shared.errors import FieldError, Invalid, NotFound
from shared.events.customer import CustomerStatus, CustomerType
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.concurrency import IfMatch, check
from shared.web.deps import Db, Time
from shared.web.fields import Name, Word
from shared.web.idempotency import Idempotency
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1/customers", tags=["customers"])

Reader = Annotated[Caller, Needs("customers:read")]
Writer = Annotated[Caller, Needs("customers:write")]


@router.post("", status_code=201, response_model=CustomerView)
async def create_customer(
    body: CreateCustomer,
    caller: Writer,
    db: Db,
    clock: Time,
    deployment: Deployment,
    idempotency: Idempotency,
) -> Response:
    """Open a customer's file."""
    stated = domain.tidy(body.stated(deployment.currency), deployment.default_region)
    async with db.tx() as tx:
        await idempotency.begin(tx)
        at = clock.now()
        number = body.number or (await store.take_numbers(tx, 1))[0]
        customer = domain.create(stated, id_=new_id(), number=number, actor=caller.id, at=at)
        if not await store.insert(tx, [customer]):
            raise domain.number_taken(number)
        [emitted] = await emit(tx, domain.created(customer), at=at)
        headers = {
            "Location": f"/v1/customers/{customer.id}",
            "Sync-Token": sync_token("customer", customer.id, emitted.seq),
        }
        return await idempotency.answer(tx, view(customer, caller), 201, headers, version=customer.version)


@router.get("/{customer_id}", response_model=CustomerView | OwnFileView)
async def get_customer(customer_id: UUID, caller: Reader, db: Db) -> Response:
    """A customer's file; customers see their own, without what is internal."""
    async with db.read() as tx:
        customer = await store.get(tx, customer_id, caller)
    return answer(view(customer, caller), version=customer.version)


@router.patch("/{customer_id}", response_model=CustomerView)
async def change_customer(
    customer_id: UUID,
    body: ChangeCustomer,
    caller: Writer,
    expected: IfMatch,
    db: Db,
    clock: Time,
    deployment: Deployment,
) -> Response:
    """Change the fields that the body names; what changes nothing makes no new version."""
    stated = domain.tidy(body.stated(deployment.currency), deployment.default_region)
    async with db.tx() as tx:
        at = clock.now()
        before = await store.lock(tx, customer_id, caller)
        check(expected, before.version, view(before, caller))
        customer, changes = domain.change(before, stated, at)
        if not changes:
            return answer(view(customer, caller), version=customer.version)
        await store.update(tx, customer, changes, actor=caller.id, reason=body.reason)
        [emitted] = await emit(tx, domain.changed(customer, changes), at=at)
    headers = {"Sync-Token": sync_token("customer", customer.id, emitted.seq)}
    return answer(view(customer, caller), version=customer.version, headers=headers)


@router.get("")
async def list_customers(
    caller: Reader,
    db: Db,
    pages: Pages,
    deployment: Deployment,
    type: CustomerType | None = None,  # noqa: A002 -- the name of the field
    status: CustomerStatus | None = None,
    level: Word | None = None,
    class_: Annotated[Word | None, Query(alias="class")] = None,
    region: Word | None = None,
    industry: Word | None = None,
    source: Word | None = None,
    owner_id: Word | None = None,
    number: Word | None = None,
    tag: Word | None = None,
    phone: Annotated[
        Word | None, Query(description="Of the customer or of a contact, in any notation.")
    ] = None,
    email: Annotated[Word | None, Query(description="Of the customer or of a contact.")] = None,
    search: Annotated[
        Name | None, Query(description="Words, or pieces of words, of names, phones, number.")
    ] = None,
    sort: Sort = "-created_at",
) -> Page[CustomerView]:
    """Customers to whom all filters apply; employees only."""
    _require_employee(caller)
    filters = Filters(
        type, status, level, class_, region, industry, source, owner_id, number, tag,
        phone=_normal_phone(phone, deployment.default_region),
        email=email and email.strip().lower(),
        search=search,
    )  # fmt: skip
    walk = pages.over("customers", sort=sort, **filters._asdict())
    async with db.read() as tx:
        found = await store.list_customers(tx, filters, sort, walk)
    return walk.page(found, CustomerView.model_validate, key=lambda customer: store.sort_key(customer, sort))


@router.get("/{customer_id}/changes")
async def list_changes(customer_id: UUID, caller: Reader, db: Db, pages: Pages) -> Page[ChangeView]:
    """What changed in a customer's file, the latest first: who, when, what was there before, why."""
    _require_employee(caller)
    walk = pages.over("customer changes", customer_id=customer_id)
    async with db.read() as tx:
        await store.get(tx, customer_id, caller)
        found = await store.list_changes(tx, customer_id, walk)
    return walk.page(found, ChangeView.model_validate, key=lambda change: (change.version, change.field))


def _require_employee(caller: Caller) -> None:
    if caller.customer_id is not None:
        raise NotFound(f"Customers read their own file only: /v1/customers/{caller.customer_id}.")


def _normal_phone(phone: str | None, default_region: str) -> str | None:
    if phone is None:
        return None
    dialled = f"+{phone[1:]}" if phone[0] == " " else phone  # an unescaped + arrives as a space
    try:
        return reach.phone(dialled, default_region)
    except reach.UnreachableError as broken:
        raise Invalid(
            "This is no phone number to look for; use search= for a piece of one.",
            errors=[FieldError("phone", str(broken), phone)],
        ) from broken
