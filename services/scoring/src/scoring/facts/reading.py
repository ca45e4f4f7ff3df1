"""Events become facts: what scoring needs of each, in integers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from scoring.facts.domain import SEVERITIES, Complaint, Fact, Purchase, Registration, Spell
from scoring.models.complaints import OPEN, PHASES
from shared.bus.inbox import Delivery
from shared.events.customer import CustomerCreated
from shared.events.orders import OrderState
from shared.events.service_desk import TicketState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(micros: int) -> datetime:
    """The instant so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def fact_of(delivery: Delivery[Any]) -> Fact:
    """The fact that an event tells; `ValueError` where the event contradicts itself."""
    event = delivery.event
    if isinstance(event, CustomerCreated):
        return Registration(
            event.customer_id,
            event.customer_id,
            event.customer.version,
            delivery.event_id,
            micros(delivery.at),
            delivery.seq,
            micros(delivery.at),
        )
    order: OrderState | None = getattr(event, "order", None)
    if order is not None:
        return Purchase(
            order.id,
            event.customer_id,
            order.version,
            delivery.event_id,
            micros(order.ordered_at),
            order.total_minor,
            order.list_total_minor,
            order.status != "cancelled",
            delivery.seq,
            micros(delivery.at),
        )
    return _complaint(event.customer_id, event.ticket, delivery)


def _complaint(customer_id: UUID, ticket: TicketState, delivery: Delivery[Any]) -> Complaint:
    if not ticket.spells:
        raise ValueError(f"ticket {ticket.number} was never open: it has no spells")
    spells = tuple(
        Spell(
            micros(spell.opened_at),
            None if spell.resolved_at is None else micros(spell.resolved_at),
            OPEN if spell.outcome is None or spell.resolved_at is None else PHASES.index(spell.outcome),
        )
        for spell in ticket.spells
    )
    return Complaint(
        ticket.id,
        customer_id,
        ticket.version,
        delivery.event_id,
        SEVERITIES.index(ticket.severity),
        ticket.kind == "complaint",
        spells,
        delivery.seq,
        micros(delivery.at),
    )
