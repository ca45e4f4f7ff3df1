"""Tickets in the database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from asyncpg import Record

from service_desk.tickets.domain import Step
from service_desk.tickets.tables import Ticket, TicketChange
from shared.db import Tx, row, rows
from shared.errors import NotFound
from shared.events.service_desk import Spell, TicketState


class NewTicket(NamedTuple):
    """A ticket to be filed: its words, and the steps it went through already."""

    customer_id: UUID
    subject: str
    steps: Sequence[Step]
    description: str | None = None
    channel: str | None = None
    priority: str = "normal"
    product_id: UUID | None = None
    imported_as: bytes | None = None


class Filed(NamedTuple):
    """A ticket as it is filed, and the spells in which it was open."""

    ticket: Ticket
    spells: tuple[Spell, ...]

    @property
    def state(self) -> TicketState:
        """What the rules are about, and what is published."""
        known = self.ticket.model_dump(include={*TicketState.__struct_fields__})
        return TicketState(**known, spells=self.spells)


_NUMBERS = "SELECT nextval('ticket_number') FROM generate_series(1, $1)"

# Sorted by id, so that two imports of the same tickets never deadlock; the loser inserts nothing.
_INSERT = """
WITH new AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::int[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::uuid[], $13::uuid[], $14::timestamptz[],
        $15::timestamptz[], $16::text[], $17::bytea[]
    ) AS t (id, version, number, customer_id, kind, subject, description, severity, status, channel, priority,
            order_id, product_id, opened_at, resolved_at, outcome, imported_as)
), inserted AS (
    INSERT INTO ticket (id, version, number, customer_id, kind, subject, description, severity, status,
                        channel, priority, order_id, product_id, opened_at, changed_at, imported_as)
    SELECT id, version, number, customer_id, kind, subject, description, severity, status,
           channel, priority, order_id, product_id, opened_at, $18, imported_as
    FROM new ORDER BY id
    ON CONFLICT (id) DO NOTHING RETURNING *
), opened AS (
    INSERT INTO ticket_spell (ticket_id, n, opened_at, resolved_at, outcome)
    SELECT new.id, 1, new.opened_at, new.resolved_at, new.outcome FROM new JOIN inserted USING (id)
), told AS (
    INSERT INTO ticket_change (ticket_id, version, action, actor, at, changed)
    SELECT c.ticket_id, c.version, c.action, $19, $18, c.changed
    FROM unnest($20::uuid[], $21::int[], $22::text[], $23::jsonb[]) AS c (ticket_id, version, action, changed)
    JOIN inserted ON inserted.id = c.ticket_id
)
SELECT * FROM inserted
"""

_SAVE = """
WITH spell AS (
    INSERT INTO ticket_spell (ticket_id, n, opened_at, resolved_at, outcome) VALUES ($1, $4, $5, $6, $7)
    ON CONFLICT (ticket_id, n) DO UPDATE SET resolved_at = excluded.resolved_at, outcome = excluded.outcome
), told AS (
    INSERT INTO ticket_change (ticket_id, version, action, actor, at, note, changed)
    VALUES ($1, $2, $8, $9, $10, $11, $12)
)
UPDATE ticket SET version = $2, status = $3, changed_at = $10 WHERE id = $1 RETURNING *
"""

_SELECT = """
SELECT t.*, s.opened, s.resolved, s.outcomes
FROM ticket t CROSS JOIN LATERAL (
    SELECT array_agg(opened_at ORDER BY n) AS opened, array_agg(resolved_at ORDER BY n) AS resolved,
           array_agg(outcome ORDER BY n) AS outcomes
    FROM ticket_spell WHERE ticket_id = t.id
) s
"""

# Which tickets a caller sees: a customer only their own, the desk (whose customer id is null) all.
_OWN = "t.customer_id = {}"
_VISIBLE = f"($2::uuid IS NULL OR {_OWN.format('$2')})"

# Locked by a statement of its own: one that waited for the lock would read spells from before the wait.
_LOCK = f"SELECT * FROM ticket t WHERE id = $1 AND {_VISIBLE} FOR UPDATE"
_SPELLS = "SELECT opened_at, resolved_at, outcome FROM ticket_spell WHERE ticket_id = $1 ORDER BY n"
_GET = f"{_SELECT} WHERE t.id = $1 AND {_VISIBLE}"
_IS_VISIBLE = f"SELECT EXISTS (SELECT FROM ticket t WHERE id = $1 AND {_VISIBLE})"

_CONDITIONS = {
    "customer_id": "t.customer_id = {}",
    "status": "t.status = {}",
    "kind": "t.kind = {}",
    "severity": "t.severity = {}",
    "opened_from": "t.opened_at >= {}",
    "opened_to": "t.opened_at < {}",
    "visible_to": _OWN,
}
_SORTS = {"opened_at": (">", "ASC"), "-opened_at": ("<", "DESC")}

_CHANGES = """
SELECT * FROM ticket_change WHERE ticket_id = $1 AND version > $2 ORDER BY version LIMIT $3
"""
_IMPORTED = "SELECT id, imported_as FROM ticket WHERE id = ANY($1::uuid[])"


async def next_numbers(tx: Tx, count: int) -> list[str]:
    """Ticket numbers, T-000001 and so on; one that is not used in the end is not given again."""
    return [f"T-{record[0]:06d}" for record in await tx.fetch(_NUMBERS, count)]


async def insert(tx: Tx, new: Sequence[NewTicket], *, actor: str, at: datetime) -> list[Filed]:
    """File tickets with their history; those whose id is taken are left out."""
    states = [one.steps[-1].ticket for one in new]
    steps = [step for one in new for step in one.steps]
    records = await tx.fetch(
        _INSERT,
        [state.id for state in states],
        [state.version for state in states],
        [state.number for state in states],
        [one.customer_id for one in new],
        [state.kind for state in states],
        [one.subject for one in new],
        [one.description for one in new],
        [state.severity for state in states],
        [state.status for state in states],
        [one.channel for one in new],
        [one.priority for one in new],
        [state.order_id for state in states],
        [one.product_id for one in new],
        [state.spells[0].opened_at for state in states],
        [state.spells[0].resolved_at for state in states],
        [state.spells[0].outcome for state in states],
        [one.imported_as for one in new],
        at,
        actor,
        [step.ticket.id for step in steps],
        [step.ticket.version for step in steps],
        [step.action for step in steps],
        [_changed(step) for step in steps],
    )
    spells = {state.id: state.spells for state in states}
    return [Filed(ticket, spells[ticket.id]) for ticket in rows(Ticket, records)]


async def save(tx: Tx, step: Step, *, actor: str, at: datetime, note: str | None) -> Filed:
    """Keep what a step made of a ticket that is locked."""
    after = step.ticket
    spell = after.spells[-1]
    record = await tx.fetchrow(
        _SAVE, after.id, after.version, after.status, len(after.spells), spell.opened_at, spell.resolved_at,
        spell.outcome, step.action, actor, at, note, _changed(step),
    )  # fmt: skip
    assert record is not None, "the ticket is locked, so it is there"
    return Filed(row(Ticket, record), after.spells)


async def lock(tx: Tx, ticket_id: UUID, visible_to: UUID | None) -> Filed:
    """The ticket, if it is one that the caller sees, kept from others until the transaction ends."""
    record = await tx.fetchrow(_LOCK, ticket_id, visible_to)
    if record is None:
        raise no_such_ticket(ticket_id)
    return Filed(row(Ticket, record), tuple(Spell(**spell) for spell in await tx.fetch(_SPELLS, ticket_id)))


async def get(tx: Tx, ticket_id: UUID, visible_to: UUID | None) -> Filed:
    """The ticket, if it is one that the caller sees."""
    record = await tx.fetchrow(_GET, ticket_id, visible_to)
    if record is None:
        raise no_such_ticket(ticket_id)
    return _filed(record)


async def require_visible(tx: Tx, ticket_id: UUID, visible_to: UUID | None) -> None:
    """Refuse a ticket that is not there for the caller."""
    if not await tx.fetchval(_IS_VISIBLE, ticket_id, visible_to):
        raise no_such_ticket(ticket_id)


async def list_tickets(
    tx: Tx, filters: Mapping[str, Any], sort: str, after: tuple[Any, ...] | None, limit: int
) -> list[Filed]:
    """The tickets that pass every filter that is given, from behind a place in the order."""
    beyond, order = _SORTS[sort]
    given = {name: value for name, value in filters.items() if value is not None}
    values = [*given.values(), *(after or ())]
    where = [_CONDITIONS[name].format(f"${n}") for n, name in enumerate(given, 1)]
    if after:
        where.append(f"(t.opened_at, t.id) {beyond} (${len(values) - 1}, ${len(values)})")
    text = f"{_SELECT} {'WHERE ' if where else ''}{' AND '.join(where)} "
    text += f"ORDER BY t.opened_at {order}, t.id {order} LIMIT ${len(values) + 1}"
    return [_filed(record) for record in await tx.fetch(text, *values, limit)]


async def list_changes(tx: Tx, ticket_id: UUID, after_version: int, limit: int) -> list[TicketChange]:
    """A ticket's history, oldest first."""
    found = await tx.fetch(_CHANGES, ticket_id, after_version, limit)
    return [
        row(TicketChange, {**record, "changed": msgspec.json.decode(record["changed"])}) for record in found
    ]


async def list_imported(tx: Tx, ticket_ids: Iterable[UUID]) -> dict[UUID, bytes | None]:
    """Those of the tickets that there are, with what they were imported as, if they were."""
    return {record["id"]: record["imported_as"] for record in await tx.fetch(_IMPORTED, list(ticket_ids))}


def no_such_ticket(ticket_id: UUID) -> NotFound:
    """It is not there, or not for this caller."""
    return NotFound(f"There is no ticket {ticket_id}.")


def _filed(record: Record) -> Filed:
    found = dict(record)
    opened, resolved, outcomes = found.pop("opened"), found.pop("resolved"), found.pop("outcomes")
    spells = tuple(
        Spell(opened_at=o, resolved_at=r, outcome=outcome)
        for o, r, outcome in zip(opened, resolved, outcomes, strict=True)
    )
    return Filed(row(Ticket, found), spells)


def _changed(step: Step) -> str:
    return msgspec.json.encode([change._asdict() for change in step.changed]).decode()
