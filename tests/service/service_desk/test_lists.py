"""Tickets in lists: filtered, sorted, paged."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.service.service_desk.conftest import NOW, Desk, opened

KINDS = ["complaint", "inquiry", "praise"]
SEVERITIES = ["minor", "major", "critical"]


@pytest.fixture
async def tickets(desk: Desk, manager: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Nine of them of two customers, a day apart, two at the same instant; every third is resolved."""
    customers = [desk.new_customer(), desk.new_customer()]
    made = []
    for n in range(9):
        day = timedelta(days=9 - max(n, 1))
        ticket = await opened(
            manager,
            customers[n % 2],
            kind=KINDS[n % 3],
            severity=SEVERITIES[n // 3],
            opened_at=(NOW - day).isoformat(),
        )
        if n % 3 == 0:
            path = f"/v1/tickets/{ticket['id']}/resolve"
            ticket = (await manager.post(path, json={"outcome": "recovered"})).json()
        made.append(ticket)
    return made


async def listed(caller: httpx.AsyncClient, **params: str | int) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = await caller.get("/v1/tickets", params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += [ticket["id"] for ticket in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 4, 50])
async def test_pages_hold_every_ticket_once_and_in_order(
    manager: httpx.AsyncClient, tickets: list[dict[str, Any]], limit: int
) -> None:
    in_order = [t["id"] for t in sorted(tickets, key=lambda t: (t["opened_at"], t["id"]))]
    assert await listed(manager, limit=limit, sort="opened_at") == in_order
    assert await listed(manager, limit=limit) == in_order[::-1]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "open"}, [1, 2, 4, 5, 7, 8]),
        ({"kind": "praise"}, [2, 5, 8]),
        ({"severity": "critical"}, [6, 7, 8]),
        ({"status": "resolved", "severity": "minor"}, [0]),
        ({"opened_from": (NOW - timedelta(days=2)).isoformat()}, [7, 8]),
        ({"opened_to": (NOW - timedelta(days=7)).isoformat()}, [0, 1]),
        ({"kind": "suggestion"}, []),
    ],
)
async def test_every_filter_filters(
    manager: httpx.AsyncClient, tickets: list[dict[str, Any]], filters: dict[str, str], expected: list[int]
) -> None:
    found = await listed(manager, sort="opened_at", limit=2, **filters)
    assert sorted(found) == sorted(tickets[n]["id"] for n in expected)


async def test_a_customers_tickets_are_listed(
    manager: httpx.AsyncClient, tickets: list[dict[str, Any]]
) -> None:
    found = await listed(manager, customer_id=tickets[1]["customer_id"])
    assert sorted(found) == sorted(tickets[n]["id"] for n in (1, 3, 5, 7))


async def test_listed_tickets_are_as_when_read_alone(
    manager: httpx.AsyncClient, tickets: list[dict[str, Any]]
) -> None:
    for ticket in (await manager.get("/v1/tickets")).json()["items"]:
        assert ticket == (await manager.get(f"/v1/tickets/{ticket['id']}")).json()


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "AAAA"},
        {"cursor": "x" * 100},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": str(10**30)},
        {"status": "closed"},
        {"sort": "subject"},
        {"customer_id": "42"},
        {"opened_from": "yesterday"},
        {"colour": "red"},
        {"opened_from": "2026-03-01T00:00:00Z", "opened_to": "2026-02-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_a_wrong_parameter_is_refused_by_its_name(
    manager: httpx.AsyncClient, params: dict[str, str]
) -> None:
    answer = await manager.get("/v1/tickets", params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in params


async def test_a_cursor_serves_only_the_list_it_came_from(
    desk: Desk, manager: httpx.AsyncClient, tickets: list[dict[str, Any]]
) -> None:
    cursor = (await manager.get("/v1/tickets", params={"limit": 1})).json()["next_cursor"]
    tampered = cursor[:-4] + ("AAAA" if cursor[-4:] != "AAAA" else "BBBB")
    for params in (
        {"cursor": tampered},
        {"cursor": cursor, "status": "open"},
        {"cursor": cursor, "sort": "opened_at"},
    ):
        assert (await manager.get("/v1/tickets", params=params)).status_code == 422
    ann = await desk.caller("customer", customer_id=desk.new_customer())
    assert (await ann.get("/v1/tickets", params={"cursor": cursor})).status_code == 422
