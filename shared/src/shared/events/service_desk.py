"""What the service desk publishes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, declare

TicketKind = Literal["complaint", "inquiry", "after_sales", "suggestion", "praise"]
TicketStatus = Literal["open", "resolved"]
Severity = Literal["minor", "major", "critical"]
Outcome = Literal["recovered", "mishandled"]


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """One time that the ticket was open: from opening (or reopening) to its resolution, if there is one."""

    opened_at: datetime
    resolved_at: datetime | None = None
    outcome: Outcome | None = None


class TicketState(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as it now is, without its words. `spells` are in order; only the last may be open."""

    id: UUID
    version: int
    number: str
    kind: TicketKind
    severity: Severity
    status: TicketStatus
    order_id: UUID | None = None
    spells: tuple[Spell, ...]


@declare("service_desk.ticket_opened.v1", topic="patron.service_desk", key="customer_id")
class TicketOpened(Event, frozen=True, kw_only=True):
    """A customer was heard: a complaint, a question, praise."""

    customer_id: UUID
    ticket: TicketState


@declare("service_desk.ticket_resolved.v1", topic="patron.service_desk", key="customer_id")
class TicketResolved(Event, frozen=True, kw_only=True):
    """The desk is done: the customer was won back (`recovered`), or not (`mishandled`)."""

    customer_id: UUID
    ticket: TicketState


@declare("service_desk.ticket_reopened.v1", topic="patron.service_desk", key="customer_id")
class TicketReopened(Event, frozen=True, kw_only=True):
    """It was not solved after all."""

    customer_id: UUID
    ticket: TicketState
