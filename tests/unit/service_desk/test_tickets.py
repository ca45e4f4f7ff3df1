"""The rules of a ticket's life, without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_desk.tickets import domain
from service_desk.tickets.domain import MOST_SPELLS, Step
from shared.errors import Conflict, Invalid
from shared.events.event import MAX_PAYLOAD_BYTES, encode
from shared.events.service_desk import (
    Outcome,
    TicketOpened,
    TicketReopened,
    TicketResolved,
    TicketState,
)
from shared.instants import When

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CUSTOMER = UUID(int=7)


def when(given_: datetime | None = None, *, now: datetime = NOW) -> When:
    return When("resolved_at", given_, now)


def new_ticket(at: datetime = NOW) -> TicketState:
    return domain.opened(UUID(int=1), "T-000001", "complaint", "major", None, when(at, now=at)).ticket


def test_a_new_ticket_is_open_since_now_and_has_version_1() -> None:
    step = domain.opened(UUID(int=1), "T-000001", "praise", "minor", UUID(int=2), when())
    assert (step.ticket.version, step.ticket.status, step.ticket.order_id) == (1, "open", UUID(int=2))
    assert [(s.opened_at, s.resolved_at, s.outcome) for s in step.ticket.spells] == [(NOW, None, None)]
    assert step.event(CUSTOMER) == TicketOpened(customer_id=CUSTOMER, ticket=step.ticket)


@pytest.mark.parametrize("outcome", ["recovered", "mishandled"])
def test_resolving_closes_the_spell_with_its_outcome(outcome: Outcome) -> None:
    step = domain.resolved(new_ticket(), outcome, when(now=NOW + HOUR))
    assert (step.ticket.version, step.ticket.status) == (2, "resolved")
    assert [(s.resolved_at, s.outcome) for s in step.ticket.spells] == [(NOW + HOUR, outcome)]
    assert isinstance(step.event(CUSTOMER), TicketResolved)


def test_reopening_begins_a_new_spell_and_keeps_the_old() -> None:
    resolved = domain.resolved(new_ticket(), "recovered", when(now=NOW + HOUR)).ticket
    step = domain.reopened(resolved, when(now=NOW + 2 * HOUR))
    assert (step.ticket.version, step.ticket.status) == (3, "open")
    assert step.ticket.spells[0] == resolved.spells[0]
    assert [(s.opened_at, s.resolved_at) for s in step.ticket.spells[1:]] == [(NOW + 2 * HOUR, None)]
    assert isinstance(step.event(CUSTOMER), TicketReopened)


def test_resolving_twice_is_a_conflict_that_says_since_when() -> None:
    resolved = domain.resolved(new_ticket(), "recovered", when()).ticket
    with pytest.raises(Conflict, match=r"T-000001 cannot be resolved.*recovered.*2026-03-01T12:00:00Z"):
        domain.resolved(resolved, "recovered", when())


def test_reopening_an_open_ticket_is_a_conflict_that_says_since_when() -> None:
    with pytest.raises(Conflict, match=r"T-000001 cannot be reopened.*2026-03-01T12:00:00Z"):
        domain.reopened(new_ticket(), when())


def test_a_resolution_before_the_opening_names_both() -> None:
    with pytest.raises(Invalid, match=r"resolved_at 2026-03-01T11:00:00Z .* opened_at 2026-03-01T12:00:00Z"):
        domain.resolved(new_ticket(), "recovered", when(NOW - HOUR))


def test_a_reopening_before_the_last_resolution_names_both() -> None:
    resolved = domain.resolved(new_ticket(), "recovered", when(now=NOW + 2 * HOUR)).ticket
    told = When("reopened_at", NOW + HOUR, NOW + 3 * HOUR)
    with pytest.raises(Invalid, match=r"reopened_at 2026-03-01T13:00:00Z .* resolved_at 2026-03-01T14:00"):
        domain.reopened(resolved, told)


def test_a_clock_that_is_a_little_behind_never_refuses_to_resolve_now() -> None:
    step = domain.resolved(new_ticket(NOW), "recovered", when(now=NOW - timedelta(seconds=3)))
    assert step.ticket.spells[-1].resolved_at == NOW


def test_half_a_resolution_is_refused_naming_the_missing_half() -> None:
    domain.check_resolution(None, None)
    domain.check_resolution(NOW, "recovered")
    with pytest.raises(Invalid) as refused:
        domain.check_resolution(NOW, None)
    assert refused.value.errors[0].field == "outcome"
    with pytest.raises(Invalid) as refused:
        domain.check_resolution(None, "recovered")
    assert refused.value.errors[0].field == "resolved_at"


def test_history_lists_only_what_changed() -> None:
    step = domain.resolved(new_ticket(), "recovered", when(now=NOW + HOUR))
    assert [tuple(change) for change in step.changed] == [
        ("status", "open", "resolved"),
        ("resolved_at", None, "2026-03-01T13:00:00Z"),
        ("outcome", None, "recovered"),
    ]
    step = domain.reopened(step.ticket, when(now=NOW + 2 * HOUR))
    assert [change.field for change in step.changed] == ["status", "opened_at", "resolved_at", "outcome"]


def test_a_ticket_is_reopened_only_so_often_that_its_event_stays_small() -> None:
    ticket, moves = new_ticket(), 0
    with pytest.raises(Conflict, match="open a new ticket"):
        while True:
            ticket = domain.resolved(ticket, "mishandled", when()).ticket
            step = domain.reopened(ticket, when())
            ticket, moves = step.ticket, moves + 1
    assert moves == MOST_SPELLS - 1
    assert len(encode(step.event(CUSTOMER))) < MAX_PAYLOAD_BYTES / 10


MOVES = st.lists(
    st.tuples(st.sampled_from(["resolve", "reopen"]), st.none() | st.integers(-90, 90), st.integers(0, 3600)),
    max_size=20,
)


@given(moves=MOVES)
def test_whatever_is_tried_the_spells_are_in_order_and_only_the_last_is_open(
    moves: list[tuple[str, int | None, int]],
) -> None:
    ticket, now = new_ticket(), NOW
    for move, offset, passing in moves:
        now += timedelta(seconds=passing)
        told = when(None if offset is None else now + timedelta(seconds=offset), now=now)
        before = ticket
        try:
            step: Step = (
                domain.resolved(ticket, "recovered", told)
                if move == "resolve"
                else domain.reopened(ticket, told)
            )
        except (Conflict, Invalid):
            assert ticket == before
            continue
        ticket = step.ticket
        assert ticket.version == before.version + 1
        assert step.changed
    instants = [at for s in ticket.spells for at in (s.opened_at, s.resolved_at) if at is not None]
    assert instants == sorted(instants)
    assert all(s.resolved_at and s.outcome for s in ticket.spells[:-1])
    last = ticket.spells[-1]
    assert (ticket.status == "open") == (last.resolved_at is None) == (last.outcome is None)
    assert ticket.version == 2 * len(ticket.spells) - (ticket.status == "open")
