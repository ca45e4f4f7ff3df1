"""The rules of a ticket's life: opened, resolved with an outcome, reopened, resolved again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from shared.errors import Conflict, FieldError, Invalid
from shared.events.service_desk import (
    Outcome,
    Severity,
    Spell,
    TicketKind,
    TicketOpened,
    TicketReopened,
    TicketResolved,
    TicketState,
)
from shared.instants import When, in_words

Action = Literal["opened", "resolved", "reopened"]

MOST_SPELLS = 500
"""How often one ticket can be opened, the first time included: its whole life goes into every event."""

BACKDATE = "tickets:import"
"""The scope that allows telling what happened in the past."""


class FieldChange(NamedTuple):
    """A value before and after a step."""

    field: str
    old: str | None
    new: str | None


class Step(NamedTuple):
    """One move of a ticket: how it is afterwards, and what that changed."""

    action: Action
    ticket: TicketState
    changed: tuple[FieldChange, ...]

    def event(self, customer_id: UUID) -> TicketOpened | TicketResolved | TicketReopened:
        """What the other services are told."""
        return _EVENTS[self.action](customer_id=customer_id, ticket=self.ticket)


_EVENTS: Mapping[Action, type[TicketOpened] | type[TicketResolved] | type[TicketReopened]] = {
    "opened": TicketOpened,
    "resolved": TicketResolved,
    "reopened": TicketReopened,
}


def opened(
    ticket_id: UUID, number: str, kind: TicketKind, severity: Severity, order_id: UUID | None, when: When
) -> Step:
    """A customer was heard."""
    after = TicketState(
        id=ticket_id,
        version=1,
        number=number,
        kind=kind,
        severity=severity,
        status="open",
        order_id=order_id,
        spells=(Spell(opened_at=when.instant()),),
    )
    return Step("opened", after, _changes(None, after))


def resolved(ticket: TicketState, outcome: Outcome, when: When) -> Step:
    """The desk is done with it. Refuses a ticket that is resolved already."""
    spell = ticket.spells[-1]
    if spell.resolved_at is not None:
        raise Conflict(
            f"Ticket {ticket.number} cannot be resolved: it has been resolved ({spell.outcome}) since "
            f"{in_words(spell.resolved_at)}; reopen it first if it was not.",
            current_status=ticket.status,
        )
    at = when.instant(not_before=spell.opened_at, called="opened_at")
    after = replace(
        ticket,
        version=ticket.version + 1,
        status="resolved",
        spells=(*ticket.spells[:-1], replace(spell, resolved_at=at, outcome=outcome)),
    )
    return Step("resolved", after, _changes(ticket, after))


def reopened(ticket: TicketState, when: When) -> Step:
    """It was not solved after all. Refuses a ticket that is open."""
    spell = ticket.spells[-1]
    if spell.resolved_at is None:
        raise Conflict(
            f"Ticket {ticket.number} cannot be reopened: it has been open since {in_words(spell.opened_at)}.",
            current_status=ticket.status,
        )
    if len(ticket.spells) >= MOST_SPELLS:
        raise Conflict(
            f"Ticket {ticket.number} was opened {MOST_SPELLS} times, which is the most; open a new ticket.",
            current_status=ticket.status,
        )
    at = when.instant(not_before=spell.resolved_at, called="resolved_at")
    after = replace(
        ticket, version=ticket.version + 1, status="open", spells=(*ticket.spells, Spell(opened_at=at))
    )
    return Step("reopened", after, _changes(ticket, after))


def check_resolution(resolved_at: datetime | None, outcome: Outcome | None) -> None:
    """An imported ticket is resolved with an outcome, or not at all."""
    if (resolved_at is None) != (outcome is None):
        missing, given = ("resolved_at", "outcome") if resolved_at is None else ("outcome", "resolved_at")
        raise Invalid(
            f"{given} was given without {missing}; give both for a resolved ticket, neither for an open one.",
            errors=[FieldError(missing, f"required with {given}")],
        )


def _changes(before: TicketState | None, after: TicketState) -> tuple[FieldChange, ...]:
    old, new = _values(before), _values(after)
    return tuple(FieldChange(name, old.get(name), new[name]) for name in new if old.get(name) != new[name])


def _values(ticket: TicketState | None) -> dict[str, str | None]:
    if ticket is None:
        return {}
    spell = ticket.spells[-1]
    return {
        "status": ticket.status,
        "opened_at": in_words(spell.opened_at),
        "resolved_at": in_words(spell.resolved_at) if spell.resolved_at else None,
        "outcome": spell.outcome,
    }
