"""Tickets imported in bulk: a batch in one transaction, each row by the rules of a single request."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from service_desk.customers import store as customer_store
from service_desk.customers.lookup import Customers, look_up
from service_desk.tickets import domain, store
from service_desk.tickets.domain import Step
from service_desk.tickets.schemas import ImportTicket
from service_desk.tickets.store import NewTicket
from shared.bus.outbox import emit
from shared.clock import Clock
from shared.customers import AskCustomers
from shared.db import Database, new_id
from shared.errors import Conflict, FieldError, InProgress, Refused
from shared.instants import When
from shared.web.imports import Outcome, Row, Save


def into(db: Database, ask: AskCustomers, clock: Clock, *, actor: str) -> Save[ImportTicket]:
    """What saves a batch of rows for this actor."""

    async def save(batch: Sequence[Row[ImportTicket]]) -> list[Outcome]:
        values, now = [row.value for row in batch], clock.now()
        customers = await look_up(db, ask, [value.customer_id for value in values])
        async with db.tx() as tx:
            known = await store.list_imported(tx, [value.id for value in values if value.id])
            numbers = await store.next_numbers(tx, sum(value.id not in known for value in values))
            outcomes, new = sort_out(values, known, customers, numbers, now)
            await customer_store.save(tx, customers.fresh)
            filed = await store.insert(tx, new, actor=actor, at=now)
            _require_all(filed, new)
            await emit(tx, *(step.event(one.customer_id) for one in new for step in one.steps), at=now)
        return outcomes

    return save


def sort_out(
    values: Sequence[ImportTicket],
    known: Mapping[UUID, bytes | None],
    customers: Customers,
    numbers: Sequence[str],
    now: datetime,
) -> tuple[list[Outcome], list[NewTicket]]:
    """What becomes of each row, and the tickets to be filed; `known` says what ids were imported as."""
    known, unused = dict(known), iter(numbers)
    outcomes: list[Outcome] = []
    new: list[NewTicket] = []
    for value in values:
        ticket_id, content = value.id or new_id(), _fingerprint(value)
        if ticket_id in known:
            outcomes.append("unchanged" if known[ticket_id] == content else _taken(ticket_id))
            continue
        try:
            customers.require(value.customer_id)
            steps = _steps(value, ticket_id, next(unused), now)
        except Refused as refused:
            outcomes.append(refused)
            continue
        known[ticket_id] = content
        new.append(NewTicket(value.customer_id, value.subject, steps, imported_as=content))
        outcomes.append("created")
    return outcomes, new


def _steps(value: ImportTicket, ticket_id: UUID, number: str, now: datetime) -> list[Step]:
    domain.check_resolution(value.resolved_at, value.outcome)
    when = When("opened_at", value.opened_at, now)
    opening = domain.opened(ticket_id, number, value.kind, value.severity, value.order_id, when)
    if value.resolved_at is None or value.outcome is None:
        return [opening]
    when = When("resolved_at", value.resolved_at, now)
    return [opening, domain.resolved(opening.ticket, value.outcome, when)]


def _fingerprint(value: ImportTicket) -> bytes:
    # Without what was left out, so that a field added later does not make old rows different.
    return hashlib.sha256(value.model_dump_json(exclude_none=True).encode()).digest()


def _taken(ticket_id: UUID) -> Conflict:
    rule = "is the id of another ticket; give this row an id of its own, or none"
    return Conflict(f"{ticket_id} {rule}", errors=[FieldError("id", rule, str(ticket_id))])


def _require_all(filed: Sequence[object], new: Sequence[object]) -> None:
    if len(filed) < len(new):
        raise InProgress(
            "Another import is filing some of these tickets at this moment; send the import again: "
            "the rows that are in already count as unchanged.",
            headers={"Retry-After": "1"},
        )
