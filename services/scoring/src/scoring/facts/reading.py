"""Events become facts: what scoring needs of each, in integers.

What cannot be true is refused, so that the event waits for a person with the reason: never guessed at, never
left out. Only what the event itself says decides, so that it is decided alike whenever it is read.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from scoring.facts.domain import DAY, SEVERITIES, Complaint, Fact, Purchase, Registration, Spell
from scoring.models.complaints import OPEN, PHASES
from shared.bus.reading import Delivery
from shared.events.customer import CustomerCreated
from shared.events.orders import OrderState
from shared.events.service_desk import TicketState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HIGHEST_VERSION = 2**31 - 1


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(micros: int) -> datetime:
    """The instant so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


YEAR_2000 = micros(datetime(2000, 1, 1, tzinfo=UTC))
"""From when PostgreSQL counts the microseconds of an instant in its binary format."""
EARLIEST = micros(datetime(1900, 1, 1, tzinfo=UTC))
LATEST = micros(datetime(9000, 1, 1, tzinfo=UTC))
"""What is dated before 1900 is no date but one that was never set; what after, one read in a wrong unit, from
which nothing can be foretold within the years that have a number."""
AHEAD = DAY
"""So much later than itself an event may say that something happened; two clocks are never further apart."""


def fact_of(delivery: Delivery[Any], currency: str) -> Fact:
    """The fact that an event tells; `ValueError` where it cannot be true, or is in another `currency`."""
    event = delivery.event
    at = micros(delivery.at)
    _within("ce_time", delivery.at, at)
    if isinstance(event, CustomerCreated):
        return Registration(
            event.customer_id,
            event.customer_id,
            _version("customer.version", event.customer.version),
            delivery.event_id,
            at,
            delivery.seq,
            at,
        )
    order: OrderState | None = getattr(event, "order", None)
    if order is not None:
        if order.currency != currency:
            raise ValueError(
                f"order.currency {order.currency!r} is not {currency}, the one currency of this deployment;"
                " amounts of several cannot be added up"
            )
        return Purchase(
            order.id,
            event.customer_id,
            _version("order.version", order.version),
            delivery.event_id,
            _credible("order.ordered_at", order.ordered_at, at),
            order.total_minor,
            order.list_total_minor,
            order.status != "cancelled",
            delivery.seq,
            at,
        )
    return _complaint(event.customer_id, event.ticket, delivery, at)


def _complaint(customer_id: UUID, ticket: TicketState, delivery: Delivery[Any], at: int) -> Complaint:
    if not ticket.spells:
        raise ValueError(f"ticket {ticket.number} was never open: it has no spells")
    if any(spell.resolved_at is None for spell in ticket.spells[:-1]):
        raise ValueError(
            f"ticket {ticket.number} was opened again while it was open: only the last of ticket.spells may"
            " have no resolved_at"
        )
    spells = tuple(
        Spell(
            _credible("ticket.spells.opened_at", spell.opened_at, at),
            None
            if spell.resolved_at is None
            else _credible("ticket.spells.resolved_at", spell.resolved_at, at),
            OPEN if spell.outcome is None or spell.resolved_at is None else PHASES.index(spell.outcome),
        )
        for spell in ticket.spells
    )
    return Complaint(
        ticket.id,
        customer_id,
        _version("ticket.version", ticket.version),
        delivery.event_id,
        SEVERITIES.index(ticket.severity),
        ticket.kind == "complaint",
        spells,
        delivery.seq,
        at,
    )


def _version(field: str, said: int) -> int:
    if not 1 <= said <= HIGHEST_VERSION:
        raise ValueError(f"{field} {said} is not from 1 to {HIGHEST_VERSION}")
    return said


def _credible(field: str, said: datetime, at: int) -> int:
    """When something happened, in microseconds; refused where an event of `at` cannot tell of it."""
    if said.tzinfo is None:
        raise ValueError(f"{field} {said.isoformat()} has no offset from UTC, such as Z")
    when = micros(said)
    _within(field, said, when)
    if when - at > AHEAD:
        raise ValueError(
            f"{field} {said.isoformat()} is more than a day after the event that tells it,"
            f" ce_time {instant(at).isoformat()}"
        )
    return when


def _within(field: str, said: datetime, when: int) -> None:
    if when < EARLIEST:
        raise ValueError(f"{field} {said.isoformat()} is before 1900: a date that was never set")
    if when >= LATEST:
        raise ValueError(f"{field} {said.isoformat()} is after 8999: a date read in a wrong unit")
