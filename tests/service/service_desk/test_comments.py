"""What is said about a ticket, and who reads it."""

from datetime import timedelta

import httpx
import pytest

from tests.service.service_desk.conftest import Desk, opened


async def test_the_desk_reads_everything_and_the_customer_what_is_public(
    desk: Desk, agent: httpx.AsyncClient
) -> None:
    ann = desk.new_customer()
    path = f"/v1/tickets/{(await opened(agent, ann))['id']}/comments"
    customer = await desk.caller("customer", customer_id=ann, sub="ann")
    for caller, body in (
        (agent, {"text": "Looks like a seal"}),
        (agent, {"text": "We send a new one", "visibility": "public"}),
        (customer, {"text": "Thank you"}),
    ):
        desk.clock.advance(timedelta(minutes=1))
        answer = await caller.post(path, json=body)
        assert answer.status_code == 201
        assert answer.headers["ETag"] == '"1"'
    said = [(c["author"], c["visibility"], c["text"]) for c in (await agent.get(path)).json()["items"]]
    assert said == [
        ("adam", "internal", "Looks like a seal"),
        ("adam", "public", "We send a new one"),
        ("ann", "public", "Thank you"),
    ]
    read = [c["text"] for c in (await customer.get(path)).json()["items"]]
    assert read == ["We send a new one", "Thank you"]


async def test_a_customer_cannot_speak_behind_their_own_back(desk: Desk, agent: httpx.AsyncClient) -> None:
    ann = desk.new_customer()
    ticket = await opened(agent, ann)
    customer = await desk.caller("customer", customer_id=ann)
    answer = await customer.post(
        f"/v1/tickets/{ticket['id']}/comments", json={"text": "Hm", "visibility": "internal"}
    )
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["field"] == "visibility"


async def test_comments_come_in_pages_and_once_per_key(desk: Desk, agent: httpx.AsyncClient) -> None:
    path = f"/v1/tickets/{(await opened(agent, desk.new_customer()))['id']}/comments"
    for n in (1, 2, 3, 3):
        await agent.post(path, json={"text": f"No. {n}"}, headers={"Idempotency-Key": f"k{n}"})
    first = (await agent.get(path, params={"limit": 2})).json()
    rest = (await agent.get(path, params={"cursor": first["next_cursor"]})).json()
    assert [c["text"] for c in [*first["items"], *rest["items"]]] == ["No. 1", "No. 2", "No. 3"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("text", ["", "  \n", "NUL \0", "x" * 10_001])
async def test_a_comment_has_readable_text(desk: Desk, agent: httpx.AsyncClient, text: str) -> None:
    ticket = await opened(agent, desk.new_customer())
    answer = await agent.post(f"/v1/tickets/{ticket['id']}/comments", json={"text": text})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "text"


async def test_a_comment_is_no_event(desk: Desk, agent: httpx.AsyncClient) -> None:
    ann = desk.new_customer()
    ticket = await opened(agent, ann)
    await agent.post(f"/v1/tickets/{ticket['id']}/comments", json={"text": "Only words"})
    assert len(await desk.events(ann)) == 1
