"""What becomes of each row of an import."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service_desk.customers.lookup import Customers
from service_desk.tickets.importing import sort_out
from service_desk.tickets.schemas import ImportTicket
from shared.errors import Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, STRANGER = UUID(int=1), UUID(int=2)
CUSTOMERS = Customers({ANN}, {})


def row(**more: Any) -> ImportTicket:
    usual: dict[str, Any] = {
        "customer_id": ANN,
        "kind": "complaint",
        "subject": "Late",
        "severity": "minor",
        "opened_at": NOW - timedelta(days=1),
    }
    return ImportTicket(**(usual | more))


def numbers(rows: list[ImportTicket]) -> list[str]:
    return [f"T-{n:06d}" for n in range(1, len(rows) + 1)]


def test_a_resolved_row_goes_through_both_steps() -> None:
    rows = [row(resolved_at=NOW, outcome="mishandled"), row()]
    outcomes, new = sort_out(rows, {}, CUSTOMERS, numbers(rows), NOW)
    assert outcomes == ["created", "created"]
    assert [[step.action for step in one.steps] for one in new] == [["opened", "resolved"], ["opened"]]
    assert [step.ticket.version for step in new[0].steps] == [1, 2]


def test_a_row_without_an_id_is_a_new_ticket_every_time() -> None:
    rows = [row(), row()]
    _, new = sort_out(rows, {}, CUSTOMERS, numbers(rows), NOW)
    assert len({one.steps[0].ticket.id for one in new}) == 2


def test_a_row_of_nobody_is_refused_and_the_next_is_not() -> None:
    rows = [row(customer_id=STRANGER), row()]
    outcomes, new = sort_out(rows, {}, CUSTOMERS, numbers(rows), NOW)
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0].errors[0].field == "customer_id"
    assert outcomes[1] == "created"
    assert len(new) == 1


def test_a_ticket_that_was_not_imported_is_never_taken_for_a_row() -> None:
    (outcome,), new = sort_out([row(id=UUID(int=9))], {UUID(int=9): None}, CUSTOMERS, ["T-1"], NOW)
    assert isinstance(outcome, Refused)
    assert new == []


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["minor", "major"])), max_size=20))
def test_of_rows_with_one_id_the_first_is_filed_and_the_same_again_is_unchanged(
    given_: list[tuple[int, str]],
) -> None:
    rows = [row(id=UUID(int=n), severity=severity) for n, severity in given_]
    outcomes, new = sort_out(rows, {}, CUSTOMERS, numbers(rows), NOW)
    first: dict[int, str] = {}
    for (n, severity), outcome in zip(given_, outcomes, strict=True):
        if n not in first:
            first[n] = severity
            assert outcome == "created"
        elif first[n] == severity:
            assert outcome == "unchanged"
        else:
            assert isinstance(outcome, Refused)
    assert len(new) == len(first)
    assert len({one.steps[0].ticket.number for one in new}) == len(new)

    known = {one.steps[0].ticket.id: one.imported_as for one in new}
    again, nothing = sort_out(rows, known, CUSTOMERS, [], NOW)
    assert nothing == []
    assert [isinstance(o, Refused) for o in again] == [isinstance(o, Refused) for o in outcomes]
