"""A ticket's life over HTTP, and the events it leaves."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.events.service_desk import TicketOpened, TicketReopened, TicketResolved
from tests.service.service_desk.conftest import NOW, Desk, complaint, opened


async def resolve(caller: httpx.AsyncClient, ticket_id: str, **more: Any) -> httpx.Response:
    return await caller.post(f"/v1/tickets/{ticket_id}/resolve", json={"outcome": "recovered"} | more)


async def test_an_opened_ticket_is_there_with_number_version_and_one_open_spell(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    customer, order = desk.new_customer(), uuid4()
    answer = await agent.post("/v1/tickets", json=complaint(customer, order_id=str(order), channel="phone"))
    assert answer.status_code == 201
    ticket = answer.json()
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Sync-Token"] == f"service_desk:{customer}=1"
    assert answer.headers["Location"] == f"/v1/tickets/{ticket['id']}"
    assert ticket["number"] == "T-000001"
    assert (ticket["status"], ticket["channel"], ticket["priority"]) == ("open", "phone", "normal")
    assert (ticket["customer_id"], ticket["order_id"]) == (str(customer), str(order))
    assert ticket["spells"] == [{"opened_at": "2026-03-01T12:00:00Z", "resolved_at": None, "outcome": None}]
    read = await agent.get(answer.headers["Location"])
    assert read.json() == ticket
    assert read.headers["ETag"] == '"1"'


async def test_every_change_is_one_event_with_the_whole_ticket_and_no_words(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    customer = desk.new_customer()
    ticket = await opened(agent, customer, description="It drips on the floor")
    desk.clock.advance(timedelta(hours=1))
    await resolve(agent, ticket["id"], note="Sent a new kettle", outcome="mishandled")
    desk.clock.advance(timedelta(hours=1))
    await agent.post(f"/v1/tickets/{ticket['id']}/reopen", json={"reason": "The new kettle leaks too"})
    desk.clock.advance(timedelta(hours=1))
    answer = await resolve(agent, ticket["id"])
    assert answer.headers["Sync-Token"] == f"service_desk:{customer}=4"

    events = await desk.events(customer)
    assert [type(e) for e in events] == [TicketOpened, TicketResolved, TicketReopened, TicketResolved]
    assert [e.ticket.version for e in events] == [1, 2, 3, 4]
    last = events[-1].ticket
    assert (last.number, last.kind, last.severity, last.status) == (
        "T-000001",
        "complaint",
        "major",
        "resolved",
    )
    assert [(s.opened_at, s.resolved_at, s.outcome) for s in last.spells] == [
        (NOW, NOW + timedelta(hours=1), "mishandled"),
        (NOW + timedelta(hours=2), NOW + timedelta(hours=3), "recovered"),
    ]
    async with desk.db.read() as tx:
        payloads = [bytes(r["payload"]) for r in await tx.fetch("SELECT payload FROM outbox")]
    assert not any(b"kettle" in payload or b"drips" in payload for payload in payloads)


async def test_resolving_twice_is_a_conflict(desk: Desk, agent: httpx.AsyncClient) -> None:
    customer = desk.new_customer()
    ticket = await opened(agent, customer)
    assert (await resolve(agent, ticket["id"])).status_code == 200
    again = await resolve(agent, ticket["id"])
    assert again.status_code == 409
    assert "T-000001 cannot be resolved: it has been resolved (recovered)" in again.json()["detail"]
    assert len(await desk.events(customer)) == 2


async def test_a_move_decided_from_an_older_version_is_refused(desk: Desk, agent: httpx.AsyncClient) -> None:
    moves = f"/v1/tickets/{(await opened(agent, desk.new_customer()))['id']}"
    stale = {"If-Match": '"7"'}
    refused = await agent.post(f"{moves}/resolve", json={"outcome": "recovered"}, headers=stale)
    assert (refused.status_code, refused.json()["current_etag"]) == (412, '"1"')
    seen = {"If-Match": '"1"'}
    resolved = await agent.post(f"{moves}/resolve", json={"outcome": "recovered"}, headers=seen)
    assert resolved.status_code == 200
    refused = await agent.post(f"{moves}/reopen", headers=seen)
    assert (refused.status_code, refused.json()["current"]["status"]) == (412, "resolved")


async def test_reopening_an_open_ticket_is_a_conflict(desk: Desk, agent: httpx.AsyncClient) -> None:
    ticket = await opened(agent, desk.new_customer())
    answer = await agent.post(f"/v1/tickets/{ticket['id']}/reopen")
    assert answer.status_code == 409
    assert "has been open since 2026-03-01T12:00:00Z" in answer.json()["detail"]


async def test_many_resolving_one_ticket_at_once_resolve_it_once(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    customer = desk.new_customer()
    ticket = await opened(agent, customer)
    answers = await asyncio.gather(*(resolve(agent, ticket["id"]) for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 7
    assert len(await desk.events(customer)) == 2


async def test_moves_that_wait_for_one_another_never_lose_a_spell(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    customer = desk.new_customer()
    ticket = await opened(agent, customer)
    path = f"/v1/tickets/{ticket['id']}"
    moves = [resolve(agent, ticket["id"]) if n % 2 else agent.post(f"{path}/reopen") for n in range(24)]
    done = [a for a in await asyncio.gather(*moves) if a.status_code == 200]
    found = (await agent.get(path)).json()
    events = await desk.events(customer)
    assert found["version"] == len(events) == len(done) + 1
    assert len(found["spells"]) == sum(1 for e in events if not isinstance(e, TicketResolved))
    for before, after in pairwise(events):
        assert after.ticket.spells[: len(before.ticket.spells) - 1] == before.ticket.spells[:-1]


async def test_the_history_tells_who_did_what_when(desk: Desk, agent: httpx.AsyncClient) -> None:
    manager = await desk.caller("manager", sub="mia")
    ticket = await opened(agent, desk.new_customer())
    desk.clock.advance(timedelta(hours=2))
    await resolve(manager, ticket["id"], note="Refunded")
    changes = (await agent.get(f"/v1/tickets/{ticket['id']}/changes")).json()["items"]
    assert [(c["version"], c["action"], c["actor"]) for c in changes] == [
        (1, "opened", "adam"),
        (2, "resolved", "mia"),
    ]
    assert changes[1]["at"] == "2026-03-01T14:00:00Z"
    assert changes[1]["note"] == "Refunded"
    assert changes[1]["changed"] == [
        {"field": "status", "old": "open", "new": "resolved"},
        {"field": "resolved_at", "old": None, "new": "2026-03-01T14:00:00Z"},
        {"field": "outcome", "old": None, "new": "recovered"},
    ]
    first = (await agent.get(f"/v1/tickets/{ticket['id']}/changes?limit=1")).json()
    rest = await agent.get(f"/v1/tickets/{ticket['id']}/changes", params={"cursor": first["next_cursor"]})
    assert [c["version"] for c in rest.json()["items"]] == [2]


@pytest.mark.parametrize("move", ["resolve", "reopen", "changes", "comments", ""])
async def test_a_ticket_that_is_not_there_is_not_found(agent: httpx.AsyncClient, move: str) -> None:
    path = f"/v1/tickets/{uuid4()}/{move}".rstrip("/")
    body = {"outcome": "recovered"} if move == "resolve" else {}
    answer = await (agent.post(path, json=body) if move.startswith("re") else agent.get(path))
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:patron:problem:not-found"


async def test_the_past_needs_the_scope_to_import(
    desk: Desk, agent: httpx.AsyncClient, manager: httpx.AsyncClient
) -> None:
    customer, past = desk.new_customer(), (NOW - timedelta(days=3)).isoformat()
    refused = await agent.post("/v1/tickets", json=complaint(customer, opened_at=past))
    assert refused.status_code == 403
    assert refused.json()["missing_scope"] == "tickets:import"
    ticket = await opened(manager, customer, opened_at=past)
    assert ticket["opened_at"] == "2026-02-26T12:00:00Z"
    yesterday = (NOW - timedelta(days=1)).isoformat()
    assert (await resolve(agent, ticket["id"], resolved_at=yesterday)).status_code == 403
    assert (await resolve(manager, ticket["id"], resolved_at=yesterday)).status_code == 200
    path = f"/v1/tickets/{ticket['id']}/reopen"
    assert (await agent.post(path, json={"reopened_at": yesterday})).status_code == 403
    assert (await manager.post(path, json={"reopened_at": yesterday})).status_code == 200


async def test_a_move_before_the_one_it_follows_is_refused_naming_both(
    desk: Desk, manager: httpx.AsyncClient
) -> None:
    ticket = await opened(manager, desk.new_customer())
    answer = await resolve(manager, ticket["id"], resolved_at="2026-03-01T11:00:00Z")
    assert answer.status_code == 422
    assert "2026-03-01T11:00:00Z must not be before opened_at 2026-03-01T12:00:00Z" in answer.json()["detail"]
    desk.clock.advance(timedelta(hours=2))
    await resolve(manager, ticket["id"])
    answer = await manager.post(
        f"/v1/tickets/{ticket['id']}/reopen", json={"reopened_at": "2026-03-01T13:00:00Z"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "reopened_at"
    assert "resolved_at 2026-03-01T14:00:00Z" in answer.json()["detail"]


async def test_an_unknown_customer_is_named_and_nothing_is_kept(desk: Desk, agent: httpx.AsyncClient) -> None:
    stranger = uuid4()
    answer = await agent.post("/v1/tickets", json=complaint(stranger))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "customer_id", "rule": "must be the id of an existing customer", "value": str(stranger)}
    ]
    assert await desk.count("ticket") == await desk.count("customer") == 0


async def test_a_customer_is_asked_for_once(desk: Desk, agent: httpx.AsyncClient) -> None:
    customer = desk.new_customer()
    await opened(agent, customer)
    await opened(agent, customer)
    assert desk.customer_service.asked == 1


async def test_without_the_customer_service_known_customers_are_served_and_others_told_to_come_back(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    known, unknown = desk.new_customer(), desk.new_customer()
    await opened(agent, known)
    desk.customer_service.away = True
    answer = await agent.post("/v1/tickets", json=complaint(unknown))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    await opened(agent, known)


async def test_a_repeated_request_is_done_once_and_another_body_refused(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    customer = desk.new_customer()
    key = {"Idempotency-Key": "k-1"}
    first = await agent.post("/v1/tickets", json=complaint(customer), headers=key)
    again = await agent.post("/v1/tickets", json=complaint(customer), headers=key)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Sync-Token"] == first.headers["Sync-Token"]
    other = await agent.post("/v1/tickets", json=complaint(customer, severity="minor"), headers=key)
    assert other.status_code == 422
    ticket = first.json()["id"]
    moves = [await agent.post(f"/v1/tickets/{ticket}/resolve", json={"outcome": "recovered"}, headers=key)]
    moves.append(
        await agent.post(f"/v1/tickets/{ticket}/resolve", json={"outcome": "recovered"}, headers=key)
    )
    assert [m.status_code for m in moves] == [200, 200]
    assert len(await desk.events(customer)) == 2


BAD: list[tuple[dict[str, Any], str]] = [
    ({"severity": "terrible"}, "severity"),
    ({"kind": "rant"}, "kind"),
    ({"subject": ""}, "subject"),
    ({"subject": "NUL \0 here"}, "subject"),
    ({"subject": "x" * 201}, "subject"),
    ({"subject": 10**400}, "subject"),
    ({"customer_id": "42"}, "customer_id"),
    ({"customer_id": 2**200}, "customer_id"),
    ({"opened_at": "2026-03-01T12:00:00"}, "opened_at"),
    ({"opened_at": "2026-03-01T12:01:01Z"}, "opened_at"),
    ({"opened_at": "9999-12-31T23:59:59Z"}, "opened_at"),
    ({"priority": "asap"}, "priority"),
    ({"status": "resolved"}, "status"),
    ({"description": "x" * 10_001}, "description"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD, ids=[f"{f} {str(w)[:30]}" for w, f in BAD])
async def test_a_wrong_value_is_refused_by_its_name(
    desk: Desk, manager: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    answer = await manager.post("/v1/tickets", json=complaint(desk.new_customer()) | wrong)
    assert answer.status_code == 422, answer.text
    assert [e["field"] for e in answer.json()["errors"]] == [field]
    assert await desk.count("ticket") == 0


async def test_a_lone_surrogate_or_ten_megabytes_are_refused(desk: Desk, agent: httpx.AsyncClient) -> None:
    kind = {"Content-Type": "application/json"}
    body = '{"customer_id": "%s", "kind": "praise", "severity": "minor", "subject": "\\ud800"}'
    answer = await agent.post("/v1/tickets", content=body % desk.new_customer(), headers=kind)
    assert answer.status_code in (400, 422)
    answer = await agent.post("/v1/tickets", content=b" " * 10_000_000, headers=kind)
    assert answer.status_code == 413


@pytest.mark.parametrize("role", ["sales", "analyst", "customer"])
async def test_only_the_desk_resolves(desk: Desk, agent: httpx.AsyncClient, role: str) -> None:
    customer = desk.new_customer()
    ticket = await opened(agent, customer)
    caller = await desk.caller(role, customer_id=customer if role == "customer" else None)
    answer = await resolve(caller, ticket["id"])
    assert answer.status_code == 403
    assert answer.json()["missing_scope"] == "tickets:write"


async def test_nobody_in_particular_gets_nothing(desk: Desk) -> None:
    nobody = await desk.caller(None)
    assert (await nobody.get("/v1/tickets")).status_code == 401
    assert (await nobody.post("/v1/tickets", json={})).status_code == 401


async def test_a_customer_opens_tickets_for_themselves_and_sees_no_others(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    ann, bob = desk.new_customer(), desk.new_customer()
    of_bob = await opened(agent, bob)
    caller = await desk.caller("customer", customer_id=ann, sub="ann")
    own = await opened(caller, ann)
    for path in ("", "/changes", "/comments"):
        assert (await caller.get(f"/v1/tickets/{own['id']}{path}")).status_code == 200
        assert (await caller.get(f"/v1/tickets/{of_bob['id']}{path}")).status_code == 404
    listed = (await caller.get("/v1/tickets")).json()["items"]
    assert [t["id"] for t in listed] == [own["id"]]
    assert (await caller.get("/v1/tickets", params={"customer_id": str(bob)})).json()["items"] == []
    for_bob = await caller.post("/v1/tickets", json=complaint(bob))
    for_nobody = await caller.post("/v1/tickets", json=complaint(uuid4()))
    assert for_bob.status_code == for_nobody.status_code == 422
    assert for_bob.json()["title"] == for_nobody.json()["title"]
    comment = await caller.post(f"/v1/tickets/{of_bob['id']}/comments", json={"text": "Hello"})
    assert comment.status_code == 404


async def test_a_customer_does_not_read_the_desks_notes(desk: Desk, agent: httpx.AsyncClient) -> None:
    ann = desk.new_customer()
    ticket = await opened(agent, ann)
    await resolve(agent, ticket["id"], note="A difficult person")
    caller = await desk.caller("customer", customer_id=ann)
    answer = await caller.get(f"/v1/tickets/{ticket['id']}/changes")
    assert [c["action"] for c in answer.json()["items"]] == ["opened", "resolved"]
    assert "difficult" not in answer.text


async def test_events_are_handed_to_other_services_by_key(desk: Desk, agent: httpx.AsyncClient) -> None:
    customer: UUID = desk.new_customer()
    await opened(agent, customer)
    service = await desk.caller("service")
    answer = await service.get("/v1/events", params={"topic": "patron.service_desk", "key": str(customer)})
    assert [e["headers"]["ce_type"] for e in answer.json()["items"]] == ["service_desk.ticket_opened.v1"]
