"""Requests about tickets, and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from service_desk.tickets.tables import Ticket, TicketChange
from shared.events.service_desk import Outcome, Severity, Spell, TicketKind, TicketStatus
from shared.web.fields import Body, Instant, Name, Text, View

TicketChannel = Literal["phone", "email", "chat", "web", "mobile", "store", "partner"]
Priority = Literal["low", "normal", "high", "urgent"]
Sort = Literal["opened_at", "-opened_at"]


class OpenTicket(Body):
    """What a customer came with. `opened_at` in the past needs the scope tickets:import."""

    customer_id: UUID
    kind: TicketKind
    subject: Name
    severity: Severity
    description: Text | None = None
    channel: TicketChannel | None = None
    priority: Priority = "normal"
    order_id: UUID | None = None
    product_id: UUID | None = None
    opened_at: Instant | None = None


class ResolveTicket(Body):
    """How it ended: the customer was won back, or not. `note` is for the desk, customers don't see it."""

    outcome: Outcome
    resolved_at: Instant | None = None
    note: Text | None = None


class ReopenTicket(Body):
    """Why it was not solved after all; customers don't see the reason."""

    reason: Text | None = None
    reopened_at: Instant | None = None


class ImportTicket(Body):
    """A row of an import; with an `id` it can be sent again and is taken once."""

    id: UUID | None = None
    customer_id: UUID
    kind: TicketKind
    subject: Name
    severity: Severity
    opened_at: Instant
    resolved_at: Instant | None = None
    outcome: Outcome | None = None
    order_id: UUID | None = None


class SpellView(View):
    """One time that the ticket was open; without `resolved_at` it still is."""

    opened_at: datetime
    resolved_at: datetime | None
    outcome: Outcome | None


class TicketView(View):
    """A ticket as it now is; `spells` in order, only the last may be open."""

    id: UUID
    version: int
    number: str
    customer_id: UUID
    kind: TicketKind
    subject: str
    description: str | None
    severity: Severity
    status: TicketStatus
    channel: TicketChannel | None
    priority: Priority
    order_id: UUID | None
    product_id: UUID | None
    opened_at: datetime
    changed_at: datetime
    spells: list[SpellView]

    @classmethod
    def of(cls, ticket: Ticket, spells: Sequence[Spell]) -> "TicketView":
        """The ticket with its spells."""
        return cls.model_validate(
            ticket.model_dump(exclude={"imported_as"})
            | {"spells": [SpellView.model_validate(s) for s in spells]}
        )


class FieldChangeView(View):
    """A value before and after."""

    field: str
    old: str | None
    new: str | None


class ChangeView(View):
    """Who made which version of a ticket, when it was recorded, and what changed."""

    version: int
    action: Literal["opened", "resolved", "reopened"]
    actor: str
    at: datetime
    note: str | None
    changed: list[FieldChangeView]

    @classmethod
    def of(cls, change: TicketChange, *, with_note: bool) -> "ChangeView":
        """The change; the desk's notes are not for customers."""
        return cls.model_validate(change.model_dump() | ({} if with_note else {"note": None}))
