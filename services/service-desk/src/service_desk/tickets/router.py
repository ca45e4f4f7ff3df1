"""Tickets over HTTP: opened, found, resolved, reopened, and what became of each."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from service_desk.customers import store as customer_store
from service_desk.customers.lookup import look_up, require_own
from service_desk.tickets import domain, importing, store
from service_desk.tickets.schemas import (
    ChangeView,
    ImportTicket,
    OpenTicket,
    ReopenTicket,
    ResolveTicket,
    Sort,
    TicketView,
)
from service_desk.tickets.store import NewTicket
from shared.bus.outbox import Emitted, emit
from shared.customers import Asking
from shared.db import new_id
from shared.events.service_desk import Severity, TicketKind, TicketStatus
from shared.instants import When, require_period
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.concurrency import IfMatchGiven, check
from shared.web.deps import Db, Time
from shared.web.fields import Instant
from shared.web.idempotency import Idempotency
from shared.web.imports import ImportView, described, import_rows
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1", tags=["tickets"])

Opens = Annotated[Caller, Needs("tickets:open")]
Reads = Annotated[Caller, Needs("tickets:read")]
Writes = Annotated[Caller, Needs("tickets:write")]
Imports = Annotated[Caller, Needs("tickets:import")]


@router.post("/tickets", status_code=201, response_model=TicketView)
async def open_ticket(
    body: OpenTicket, caller: Opens, db: Db, clock: Time, ask: Asking, idempotency: Idempotency
) -> Response:
    """Open a ticket. A customer opens it for themselves."""
    now = clock.now()
    when = When("opened_at", body.opened_at, now, caller.missing(domain.BACKDATE))
    require_own(caller, body.customer_id)
    customers = await look_up(db, ask, [body.customer_id])
    customers.require(body.customer_id)
    async with db.tx() as tx:
        await idempotency.begin(tx)
        await customer_store.save(tx, customers.fresh)
        [number] = await store.next_numbers(tx, 1)
        step = domain.opened(new_id(), number, body.kind, body.severity, body.order_id, when)
        [filed] = await store.insert(tx, [_new(body, step)], actor=caller.id, at=now)
        [emitted] = await emit(tx, step.event(body.customer_id), at=now)
        return await idempotency.answer(
            tx,
            TicketView.of(filed.ticket, filed.spells),
            201,
            {"Location": f"/v1/tickets/{step.ticket.id}", **_synced(emitted)},
            version=step.ticket.version,
        )


@router.get("/tickets")
async def list_tickets(
    caller: Reads,
    db: Db,
    pages: Pages,
    customer_id: UUID | None = None,
    status: TicketStatus | None = None,
    kind: TicketKind | None = None,
    severity: Severity | None = None,
    opened_from: Annotated[Instant | None, Query(description="Opened first then or later.")] = None,
    opened_to: Annotated[Instant | None, Query(description="Opened first before then.")] = None,
    sort: Sort = "-opened_at",
) -> Page[TicketView]:
    """The tickets that pass every filter, the latest first unless sorted otherwise."""
    require_period("opened_from", opened_from, "opened_to", opened_to)
    filters: dict[str, Any] = {
        "customer_id": customer_id,
        "status": status,
        "kind": kind,
        "severity": severity,
        "opened_from": opened_from,
        "opened_to": opened_to,
        "visible_to": caller.customer_id,
    }
    walk = pages.over("tickets", sort=sort, **filters)
    async with db.read() as tx:
        found = await store.list_tickets(tx, filters, sort, walk.after, walk.fetch)
    return walk.page(
        found, lambda f: TicketView.of(f.ticket, f.spells), key=lambda f: (f.ticket.opened_at, f.ticket.id)
    )


@router.get("/tickets/{ticket_id}", response_model=TicketView)
async def get_ticket(ticket_id: UUID, caller: Reads, db: Db) -> Response:
    """A ticket as it now is."""
    async with db.read() as tx:
        filed = await store.get(tx, ticket_id, caller.customer_id)
    return answer(TicketView.of(filed.ticket, filed.spells), version=filed.ticket.version)


@router.post("/tickets/{ticket_id}/resolve", response_model=TicketView)
async def resolve_ticket(
    ticket_id: UUID,
    body: ResolveTicket,
    caller: Writes,
    expected: IfMatchGiven,
    db: Db,
    clock: Time,
    idempotency: Idempotency,
) -> Response:
    """The desk is done with it: the customer was won back, or not."""
    now = clock.now()
    when = When("resolved_at", body.resolved_at, now, caller.missing(domain.BACKDATE))
    async with db.tx() as tx:
        await idempotency.begin(tx)
        filed = await store.lock(tx, ticket_id, caller.customer_id)
        check(expected, filed.ticket.version, TicketView.of(filed.ticket, filed.spells))
        step = domain.resolved(filed.state, body.outcome, when)
        filed = await store.save(tx, step, actor=caller.id, at=now, note=body.note)
        [emitted] = await emit(tx, step.event(filed.ticket.customer_id), at=now)
        return await idempotency.answer(
            tx,
            TicketView.of(filed.ticket, filed.spells),
            headers=_synced(emitted),
            version=step.ticket.version,
        )


@router.post("/tickets/{ticket_id}/reopen", response_model=TicketView)
async def reopen_ticket(
    ticket_id: UUID,
    caller: Writes,
    expected: IfMatchGiven,
    db: Db,
    clock: Time,
    idempotency: Idempotency,
    body: ReopenTicket | None = None,
) -> Response:
    """It was not solved after all. The body may be left out."""
    body, now = body or ReopenTicket(), clock.now()
    when = When("reopened_at", body.reopened_at, now, caller.missing(domain.BACKDATE))
    async with db.tx() as tx:
        await idempotency.begin(tx)
        filed = await store.lock(tx, ticket_id, caller.customer_id)
        check(expected, filed.ticket.version, TicketView.of(filed.ticket, filed.spells))
        step = domain.reopened(filed.state, when)
        filed = await store.save(tx, step, actor=caller.id, at=now, note=body.reason)
        [emitted] = await emit(tx, step.event(filed.ticket.customer_id), at=now)
        return await idempotency.answer(
            tx,
            TicketView.of(filed.ticket, filed.spells),
            headers=_synced(emitted),
            version=step.ticket.version,
        )


@router.get("/tickets/{ticket_id}/changes")
async def list_changes(ticket_id: UUID, caller: Reads, db: Db, pages: Pages) -> Page[ChangeView]:
    """Who did what to the ticket and when, oldest first; the desk's notes are for the desk."""
    walk = pages.over("ticket changes", ticket_id=ticket_id)
    (after,) = walk.after or (0,)
    async with db.read() as tx:
        await store.require_visible(tx, ticket_id, caller.customer_id)
        found = await store.list_changes(tx, ticket_id, after, walk.fetch)
    with_note = caller.customer_id is None
    return walk.page(found, lambda c: ChangeView.of(c, with_note=with_note), key=lambda c: (c.version,))


@router.post("/imports/tickets", openapi_extra=described(ImportTicket))
async def import_tickets(request: Request, caller: Imports, db: Db, clock: Time, ask: Asking) -> ImportView:
    """Import tickets, resolved ones too, from JSON Lines or CSV: by the rules of single requests."""
    return await import_rows(request, ImportTicket, importing.into(db, ask, clock, actor=caller.id))


def _new(body: OpenTicket, step: domain.Step) -> NewTicket:
    return NewTicket(
        body.customer_id,
        body.subject,
        [step],
        description=body.description,
        channel=body.channel,
        priority=body.priority,
        product_id=body.product_id,
    )


def _synced(emitted: Emitted) -> dict[str, str]:
    return {"Sync-Token": sync_token("service_desk", emitted.key, emitted.seq)}
