"""Tickets imported in bulk, by the rules of single requests."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.events.service_desk import TicketOpened, TicketResolved
from tests.service.service_desk.conftest import Desk, opened

JSON_LINES = {"Content-Type": "application/x-ndjson"}


def line(customer_id: UUID, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "customer_id": str(customer_id),
        "kind": "complaint",
        "subject": "Late",
        "severity": "minor",
        "opened_at": "2025-12-01T09:00:00Z",
    } | more


async def imported(caller: httpx.AsyncClient, rows: list[dict[str, Any]]) -> dict[str, Any]:
    body = "\n".join(json.dumps(row) for row in rows)
    answer = await caller.post("/v1/imports/tickets", content=body, headers=JSON_LINES)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


RESOLVED = {"resolved_at": "2025-12-03T09:00:00+01:00", "outcome": "recovered"}


async def test_a_resolved_row_is_a_ticket_of_version_2_with_both_events(
    desk: Desk, manager: httpx.AsyncClient
) -> None:
    ann, bob = desk.new_customer(), desk.new_customer()
    rows = [line(ann, **RESOLVED), line(bob), line(ann)]
    tally = await imported(manager, rows)
    assert (tally["rows"], tally["created"], tally["rejected"]) == (3, 3, 0)
    ticket = (await manager.get(f"/v1/tickets/{rows[0]['id']}")).json()
    assert (ticket["version"], ticket["status"]) == (2, "resolved")
    assert ticket["spells"] == [
        {"opened_at": "2025-12-01T09:00:00Z", "resolved_at": "2025-12-03T08:00:00Z", "outcome": "recovered"}
    ]
    events = await desk.events(ann)
    assert [(type(e), e.ticket.version) for e in events] == [
        (TicketOpened, 1),
        (TicketResolved, 2),
        (TicketOpened, 1),
    ]
    assert events[0].ticket.spells[0].resolved_at is None
    assert len(await desk.events(bob)) == 1
    changes = (await manager.get(f"/v1/tickets/{rows[0]['id']}/changes")).json()["items"]
    assert [(c["action"], c["actor"]) for c in changes] == [("opened", "mia"), ("resolved", "mia")]


async def test_an_import_can_be_repeated_even_after_its_tickets_moved_on(
    desk: Desk, manager: httpx.AsyncClient
) -> None:
    ann = desk.new_customer()
    rows = [line(ann), line(ann, **RESOLVED)]
    await imported(manager, rows)
    await manager.post(f"/v1/tickets/{rows[0]['id']}/resolve", json={"outcome": "mishandled"})
    before = await desk.events(ann)
    tally = await imported(manager, rows)
    assert (tally["created"], tally["unchanged"], tally["rejected"]) == (0, 2, 0)
    assert await desk.events(ann) == before


async def test_an_id_with_other_content_is_a_refused_row(desk: Desk, manager: httpx.AsyncClient) -> None:
    ann = desk.new_customer()
    row = line(ann)
    live = await opened(manager, ann)
    tally = await imported(
        manager, [row, row, row | {"severity": "major"}, line(ann) | {"id": live["id"]}, line(ann)]
    )
    assert (tally["created"], tally["unchanged"], tally["rejected"]) == (2, 1, 2)
    assert [(e["row"], e["field"], e["value"]) for e in tally["errors"]] == [
        (3, "id", row["id"]),
        (4, "id", live["id"]),
    ]


async def test_wrong_rows_are_named_and_the_others_taken(desk: Desk, manager: httpx.AsyncClient) -> None:
    ann, stranger = desk.new_customer(), uuid4()
    tally = await imported(
        manager,
        [
            line(ann),
            line(stranger),
            line(ann, severity="awful"),
            line(ann, outcome="recovered"),
            line(ann, resolved_at="2025-12-03T09:00:00Z"),
            line(ann, **RESOLVED | {"resolved_at": "2025-11-03T09:00:00Z"}),
            line(ann, opened_at="2026-03-02T09:00:00Z"),
            line(ann, status="open"),
            line(ann, subject="NUL \0"),
        ],
    )
    assert (tally["created"], tally["rejected"]) == (1, 8)
    assert [(e["row"], e["field"]) for e in tally["errors"]] == [
        (2, "customer_id"),
        (3, "severity"),
        (4, "resolved_at"),
        (5, "outcome"),
        (6, "resolved_at"),
        (7, "opened_at"),
        (8, "status"),
        (9, "subject"),
    ]
    assert len(await desk.events(ann)) == 1


async def test_csv_is_read_as_json_lines_are(desk: Desk, manager: httpx.AsyncClient) -> None:
    ann = desk.new_customer()
    row = line(ann, subject='Late, and "broken"', **RESOLVED)
    header = "id,customer_id,kind,subject,severity,opened_at,resolved_at,outcome,order_id\n"
    text = (
        f'{row["id"]},{ann},complaint,"Late, and ""broken""",minor,'
        f"{row['opened_at']},{row['resolved_at']},recovered,\n"
    )
    answer = await manager.post(
        "/v1/imports/tickets", content=header + text, headers={"Content-Type": "text/csv"}
    )
    assert answer.json()["created"] == 1, answer.text
    tally = await imported(manager, [row])
    assert tally["unchanged"] == 1


async def test_many_rows_come_in_batches_and_every_event_once(desk: Desk, manager: httpx.AsyncClient) -> None:
    customers = [desk.new_customer() for _ in range(20)]
    rows = [line(customers[n % 20], **(RESOLVED if n % 2 else {})) for n in range(1234)]
    tally = await imported(manager, rows)
    assert tally["created"] == 1234
    assert desk.customer_service.asked == 20
    assert sum([len(await desk.events(customer)) for customer in customers]) == 1234 + 617
    assert await desk.count("ticket_spell") == 1234


async def test_two_imports_of_the_same_rows_at_once_file_each_ticket_once(
    desk: Desk, manager: httpx.AsyncClient
) -> None:
    customers = [desk.new_customer() for _ in range(5)]
    rows = [line(customers[n % 5]) for n in range(300)]
    bodies = ["\n".join(map(json.dumps, order)) for order in (rows, rows[::-1], rows[100:] + rows[:100])]
    answers = await asyncio.gather(
        *(manager.post("/v1/imports/tickets", content=body, headers=JSON_LINES) for body in bodies)
    )
    assert {a.status_code for a in answers} <= {200, 409}
    assert any(a.status_code == 200 for a in answers)
    assert (await imported(manager, rows))["unchanged"] == 300
    assert sum([len(await desk.events(customer)) for customer in customers]) == 300


@pytest.mark.parametrize("role", ["agent", "customer", "service"])
async def test_importing_needs_its_scope(desk: Desk, role: str) -> None:
    caller = await desk.caller(role, customer_id=desk.new_customer() if role == "customer" else None)
    answer = await caller.post("/v1/imports/tickets", content="", headers=JSON_LINES)
    assert answer.status_code == 403
    assert answer.json()["missing_scope"] == "tickets:import"


async def test_without_the_customer_service_an_import_of_unknown_customers_waits(
    desk: Desk, manager: httpx.AsyncClient
) -> None:
    rows = [line(desk.new_customer()) for _ in range(30)]
    desk.customer_service.away = True
    body = "\n".join(map(json.dumps, rows))
    answer = await manager.post("/v1/imports/tickets", content=body, headers=JSON_LINES)
    assert answer.status_code == 503
    assert await desk.count("ticket") == 0
