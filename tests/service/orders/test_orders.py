"""Orders over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from orders.customers import store as customers
from orders.customers.domain import Customer
from shared.db import new_id
from shared.web.concurrency import etag

from .conftest import World

JSON = {"Content-Type": "application/json"}


async def body(world: World, **values: Any) -> dict[str, Any]:
    """An order of two boxes of tea."""
    return {
        "customer_id": str(await world.customer()),
        "lines": [{"product_id": str(await world.product(250)), "quantity": 2}],
        "channel": "web",
        **values,
    }


async def test_an_order_is_placed_at_list_prices(world: World) -> None:
    wanted = await body(world)
    placed = await world.manager.post("/v1/orders", json=wanted)
    assert placed.status_code == 201
    order = placed.json()
    assert order["number"].startswith("O-")
    assert (order["status"], order["total_minor"], order["currency"]) == ("placed", 500, "USD")
    assert order["ordered_at"] == "2026-03-01T12:00:00Z"
    assert placed.headers["ETag"] == etag(1)
    assert placed.headers["Location"] == f"/v1/orders/{order['id']}"
    assert placed.headers["Sync-Token"] == f"orders:{wanted['customer_id']}=1"
    read = await world.manager.get(placed.headers["Location"])
    assert (read.json(), read.headers["ETag"]) == (order, etag(1))


async def test_every_change_is_one_event_with_the_whole_order_and_a_gapless_sequence(world: World) -> None:
    customer_id = await world.customer()
    first = await world.order(customer_id)
    second = await world.order(customer_id)
    await world.manager.post(f"/v1/orders/{first['id']}/complete")
    await world.manager.post(f"/v1/orders/{second['id']}/cancel", json={"reason": "Ann Smith called"})
    events = await world.events(customer_id)
    assert [(seq, type_, data["order"]["version"]) for seq, type_, data in events] == [
        (1, "orders.order_placed.v1", 1),
        (2, "orders.order_placed.v1", 1),
        (3, "orders.order_completed.v1", 2),
        (4, "orders.order_cancelled.v1", 2),
    ]
    for (_, _, data), order in zip(events, [first, second, first, second], strict=True):
        assert (data["order"]["id"], data["order"]["lines"]) == (order["id"], order["lines"])
    assert "Smith" not in str(events)


async def test_a_refused_order_leaves_nothing(world: World) -> None:
    wanted = await body(world)
    wanted["lines"].append({"product_id": str(new_id()), "quantity": 1})
    before = await world.count("sales_order")
    refused = await world.manager.post("/v1/orders", json=wanted)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["lines.1.product_id"]
    assert (await world.count("sales_order"), await world.events(wanted["customer_id"])) == (before, [])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"lines": []}, "lines"),
        ({"channel": "fax"}, "channel"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "dollars"}, "currency"),
        ({"customer_id": "7"}, "customer_id"),
        ({"note": "x"}, "note"),
        ({"ordered_at": "2026-03-01T12:00:00"}, "ordered_at"),
        ({"ordered_at": "2026-03-02T12:00:00Z"}, "ordered_at"),
        ({"ordered_at": 1}, "ordered_at"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(
    world: World, values: dict[str, Any], field: str
) -> None:
    refused = await world.manager.post("/v1/orders", json=await body(world, **values))
    assert refused.status_code == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "quantity", [-3, 0, 10**6 + 1, pytest.param(10**400, id="huge"), 1.5, "2", True, None]
)
async def test_a_quantity_is_a_whole_number_from_one_to_a_million(world: World, quantity: object) -> None:
    wanted = await body(world)
    wanted["lines"][0]["quantity"] = quantity
    refused = await world.manager.post("/v1/orders", json=wanted)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["lines.0.quantity"]


async def test_an_order_has_at_most_200_lines(world: World) -> None:
    wanted = await body(world)
    wanted["lines"] *= 200
    assert (await world.manager.post("/v1/orders", json=wanted)).status_code == 201
    wanted["lines"].append(wanted["lines"][0])
    refused = await world.manager.post("/v1/orders", json=wanted)
    assert [error["field"] for error in refused.json()["errors"]] == ["lines"]


async def test_amounts_beyond_the_limit_are_refused_clearly(world: World) -> None:
    wanted = await body(world)
    dear = {"product_id": str(await world.product(10**15)), "quantity": 1}
    line = await world.manager.post("/v1/orders", json={**wanted, "lines": [{**dear, "quantity": 2}]})
    assert [error["field"] for error in line.json()["errors"]] == ["lines.0.quantity"]
    total = await world.manager.post("/v1/orders", json={**wanted, "lines": [dear, dear]})
    assert [error["field"] for error in total.json()["errors"]] == ["lines"]
    assert (await world.manager.post("/v1/orders", json={**wanted, "lines": [dear]})).status_code == 201


async def test_a_product_that_is_not_sold_any_more_is_refused(world: World) -> None:
    line = {"product_id": str(await world.product(active=False)), "quantity": 1}
    refused = await world.manager.post("/v1/orders", json=await body(world, lines=[line]))
    assert [error["field"] for error in refused.json()["errors"]] == ["lines.0.product_id"]


@pytest.mark.parametrize(("status", "class_"), [("inactive", None), ("active", "eliminated")])
async def test_customers_with_whom_it_is_over_cannot_order(world: World, status: Any, class_: Any) -> None:
    wanted = await body(world, customer_id=str(await world.customer(status, class_)))
    refused = await world.manager.post("/v1/orders", json=wanted)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["customer_id"]


async def test_a_past_order_needs_the_scope_and_the_refusal_names_it(world: World) -> None:
    wanted = await body(world, ordered_at="2025-12-24T18:00:00+08:00")
    sales = await world.caller("sales")
    refused = await sales.post("/v1/orders", json=wanted)
    assert (refused.status_code, refused.json()["missing_scope"]) == (403, "orders:import")
    placed = await world.manager.post("/v1/orders", json=wanted)
    assert placed.json()["ordered_at"] == "2025-12-24T10:00:00Z"


async def test_a_clock_a_little_ahead_is_taken_for_now(world: World) -> None:
    sales = await world.caller("sales")
    placed = await sales.post("/v1/orders", json=await body(world, ordered_at="2026-03-01T12:00:59Z"))
    assert (placed.status_code, placed.json()["ordered_at"]) == (201, "2026-03-01T12:00:00Z")


async def test_ten_megabytes_are_refused_unread(world: World) -> None:
    refused = await world.manager.post("/v1/orders", content=b" " * 10_000_000, headers=JSON)
    assert refused.status_code == 413


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"customer_id": "\\ud800"}', b"\xff", b"[" * 10_000, b""])
async def test_what_is_no_order_at_all_is_refused_as_such(world: World, content: bytes) -> None:
    refused = await world.manager.post("/v1/orders", content=content, headers=JSON)
    assert refused.status_code in (400, 422)
    assert refused.json()["detail"]


async def test_the_same_request_sent_twice_places_one_order(world: World) -> None:
    wanted, key = await body(world), {"Idempotency-Key": str(new_id())}
    first = await world.manager.post("/v1/orders", json=wanted, headers=key)
    again = await world.manager.post("/v1/orders", json=wanted, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    for name in ("ETag", "Location", "Sync-Token"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(await world.events(wanted["customer_id"])) == 1


async def test_a_key_used_for_another_order_is_refused(world: World) -> None:
    wanted, key = await body(world), {"Idempotency-Key": str(new_id())}
    await world.manager.post("/v1/orders", json=wanted, headers=key)
    refused = await world.manager.post("/v1/orders", json={**wanted, "channel": "phone"}, headers=key)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:patron:problem:idempotency-key-reused")


async def test_a_repetition_is_answered_alike_although_now_has_become_the_past(world: World) -> None:
    sales, key = await world.caller("sales"), {"Idempotency-Key": str(new_id())}
    wanted = await body(world, ordered_at=world.clock.now().isoformat())
    first = await sales.post("/v1/orders", json=wanted, headers=key)
    world.clock.advance(timedelta(minutes=10))
    again = await sales.post("/v1/orders", json=wanted, headers=key)
    world.clock.advance(-timedelta(minutes=10))
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)


async def test_twenty_repetitions_at_once_place_one_order(world: World) -> None:
    wanted, key = await body(world), {"Idempotency-Key": str(new_id())}
    answers = await asyncio.gather(
        *(world.manager.post("/v1/orders", json=wanted, headers=key) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(await world.events(wanted["customer_id"])) == 1


async def test_cancelling_keeps_the_reason_and_completing_the_time(world: World) -> None:
    cancelled = await world.manager.post(
        f"/v1/orders/{(await world.order())['id']}/cancel", json={"reason": " too late "}
    )
    assert (cancelled.status_code, cancelled.headers["ETag"]) == (200, etag(2))
    assert (cancelled.json()["status"], cancelled.json()["cancel_reason"]) == ("cancelled", "too late")
    assert cancelled.json()["cancelled_at"] == "2026-03-01T12:00:00Z"
    completed = await world.manager.post(f"/v1/orders/{(await world.order())['id']}/complete")
    assert (completed.json()["status"], completed.json()["completed_at"]) == (
        "completed",
        "2026-03-01T12:00:00Z",
    )


async def test_cancelling_twice_is_a_conflict(world: World) -> None:
    order = await world.order()
    await world.manager.post(f"/v1/orders/{order['id']}/cancel")
    refused = await world.manager.post(f"/v1/orders/{order['id']}/cancel")
    assert refused.status_code == 409
    number = order["number"]
    assert f"Order {number} is cancelled; a cancelled order cannot be cancelled" in refused.json()["detail"]


async def test_a_cancelled_order_cannot_be_completed_nor_the_other_way_round(world: World) -> None:
    for first, then in (("cancel", "complete"), ("complete", "cancel")):
        order = await world.order()
        await world.manager.post(f"/v1/orders/{order['id']}/{first}")
        assert (await world.manager.post(f"/v1/orders/{order['id']}/{then}")).status_code == 409
        assert len(await world.events(order["customer_id"])) == 2


async def test_of_many_who_cancel_at_once_exactly_one_wins(world: World) -> None:
    order = await world.order()
    path = f"/v1/orders/{order['id']}"
    answers = await asyncio.gather(
        *(world.manager.post(f"{path}/{'cancel' if n % 2 else 'complete'}") for n in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    assert len(await world.events(order["customer_id"])) == 2
    assert (await world.manager.get(path)).json()["version"] == 2


async def test_a_move_sent_twice_with_one_key_is_done_once(world: World) -> None:
    path, key = f"/v1/orders/{(await world.order())['id']}/cancel", {"Idempotency-Key": str(new_id())}
    first = await world.manager.post(path, headers=key)
    again = await world.manager.post(path, headers=key)
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)


async def test_a_move_needs_no_if_match_but_heeds_it(world: World) -> None:
    path = f"/v1/orders/{(await world.order())['id']}/complete"
    stale = await world.manager.post(path, headers={"If-Match": etag(7)})
    assert (stale.status_code, stale.headers["ETag"]) == (412, etag(1))
    assert stale.json()["current"]["status"] == "placed"
    assert (await world.manager.post(path, headers={"If-Match": etag(1)})).status_code == 200


@pytest.mark.parametrize("reason", ["x" * 1001, "a\x00b"])
async def test_a_reason_is_short_text(world: World, reason: str) -> None:
    path = f"/v1/orders/{(await world.order())['id']}/cancel"
    refused = await world.manager.post(path, json={"reason": reason})
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]


async def test_an_order_that_is_not_there_is_not_found(world: World) -> None:
    for answer in (
        await world.manager.get(f"/v1/orders/{new_id()}"),
        await world.manager.post(f"/v1/orders/{new_id()}/cancel"),
        await world.manager.post(f"/v1/orders/{new_id()}/complete"),
    ):
        assert answer.status_code == 404
    assert (await world.manager.get("/v1/orders/7")).status_code == 422


async def test_who_only_reads_cannot_write_and_who_is_nobody_cannot_read(world: World) -> None:
    order = await world.order()
    marketing, stranger = await world.caller("marketing"), await world.caller(None)
    refused = await marketing.post(f"/v1/orders/{order['id']}/cancel")
    assert (refused.status_code, refused.json()["missing_scope"]) == (403, "orders:write")
    assert (await marketing.get(f"/v1/orders/{order['id']}")).status_code == 200
    assert (await stranger.get(f"/v1/orders/{order['id']}")).status_code == 401
    engineer = await world.caller("engineer")
    assert (await engineer.get("/v1/orders")).status_code == 403


async def test_a_customer_sees_their_own_orders_and_nobody_elses(world: World) -> None:
    own, other = await world.order(), await world.order()
    ann = await world.caller("customer", UUID(own["customer_id"]))
    assert (await ann.get(f"/v1/orders/{own['id']}")).json() == own
    assert (await ann.get(f"/v1/orders/{other['id']}")).status_code == 404
    assert (await ann.get("/v1/orders")).json()["items"] == [own]
    filtered = await ann.get("/v1/orders", params={"customer_id": other["customer_id"]})
    assert filtered.json()["items"] == []


async def test_a_customer_just_created_can_order_at_once(world: World) -> None:
    customer_id = world.customer_service.add()
    for _ in range(2):
        placed = await world.manager.post("/v1/orders", json=await body(world, customer_id=str(customer_id)))
        assert placed.status_code == 201
    assert world.customer_service.asked.count(customer_id) == 1


async def test_a_customer_that_nobody_knows_is_refused_by_name(world: World) -> None:
    unknown = new_id()
    refused = await world.manager.post("/v1/orders", json=await body(world, customer_id=str(unknown)))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "customer_id"
    assert str(unknown) in refused.json()["detail"]


async def test_while_the_customer_service_is_away_known_customers_order_and_others_come_back(
    world: World,
) -> None:
    known, unknown = await body(world), await body(world, customer_id=str(new_id()))
    world.customer_service.away = True
    try:
        assert (await world.manager.post("/v1/orders", json=known)).status_code == 201
        for _ in range(8):
            refused = await world.manager.post("/v1/orders", json=unknown)
            assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (503, True)
    finally:
        world.customer_service.away = False
        world.app.state.customer_directory._breaker.answered()


async def test_what_was_asked_for_never_replaces_what_an_event_said_later(world: World) -> None:
    customer_id = world.customer_service.add()
    async with world.db.tx() as tx:
        await customers.save(tx, [Customer(customer_id, 3, "inactive"), Customer(customer_id, 2, "active")])
        await customers.save(tx, [Customer(customer_id, 1, "active")])
        known = await customers.list_known(tx, [customer_id])
    assert known[customer_id] == Customer(customer_id, 3, "inactive")
