"""Receipts over HTTP."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from shared.db import new_id
from shared.web.concurrency import etag

from .conftest import World


def money(order: dict[str, Any], amount: int, *parts: int, **values: Any) -> dict[str, Any]:
    """A receipt of the order's customer that pays parts of it."""
    return {
        "customer_id": order["customer_id"],
        "amount_minor": amount,
        "method": "bank_transfer",
        "allocations": [{"order_id": order["id"], "amount_minor": part} for part in parts],
        **values,
    }


async def test_money_pays_an_order_and_the_rest_stays_on_account(world: World) -> None:
    order = await world.order(price=1000)
    recorded = await world.manager.post("/v1/receipts", json=money(order, 700, 600, reference="invoice 7"))
    assert (recorded.status_code, recorded.headers["ETag"]) == (201, etag(1))
    receipt = recorded.json()
    assert (receipt["allocated_minor"], receipt["on_account_minor"]) == (600, 100)
    assert (receipt["reference"], receipt["received_at"]) == ("invoice 7", "2026-03-01T12:00:00Z")
    assert (await world.manager.get(recorded.headers["Location"])).json() == receipt
    paid = await world.manager.get(f"/v1/orders/{order['id']}")
    assert (paid.json()["paid_minor"], paid.headers["ETag"]) == (600, etag(2))
    _, (seq, type_, data) = await world.events(order["customer_id"])
    assert (seq, type_, data["receipt"]["version"]) == (2, "orders.receipt_recorded.v1", 1)
    assert data["receipt"]["allocations"] == receipt["allocations"]
    assert "invoice" not in str(data)
    assert recorded.headers["Sync-Token"] == f"orders:{order['customer_id']}=2"


async def test_never_more_is_allocated_than_received_or_owed(world: World) -> None:
    order = await world.order(price=1000)
    over = await world.manager.post("/v1/receipts", json=money(order, 500, 501))
    assert [error["field"] for error in over.json()["errors"]] == ["allocations"]
    await world.manager.post("/v1/receipts", json=money(order, 900, 900))
    over = await world.manager.post("/v1/receipts", json=money(order, 900, 101))
    assert [error["field"] for error in over.json()["errors"]] == ["allocations.0.amount_minor"]
    assert len(await world.events(order["customer_id"])) == 2


async def test_of_many_who_pay_the_same_debt_at_once_only_as_many_succeed_as_it_bears(world: World) -> None:
    order = await world.order(price=1000)
    answers = await asyncio.gather(
        *(world.manager.post("/v1/receipts", json=money(order, 300, 300)) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * 7
    assert (await world.manager.get(f"/v1/orders/{order['id']}")).json()["paid_minor"] == 900


async def test_orders_of_others_and_cancelled_ones_are_not_paid(world: World) -> None:
    order, other = await world.order(), await world.order()
    await world.manager.post(f"/v1/orders/{order['id']}/cancel")
    for wrong in (money(order, 5, 5), {**money(other, 5, 5), "customer_id": order["customer_id"]}):
        refused = await world.manager.post("/v1/receipts", json=wrong)
        assert [error["field"] for error in refused.json()["errors"]] == ["allocations.0.order_id"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -5}, "amount_minor"),
        ({"amount_minor": 10**15 + 1}, "amount_minor"),
        ({"currency": "EUR"}, "currency"),
        ({"method": "gold"}, "method"),
        ({"reference": "a\x00b"}, "reference"),
        ({"received_at": "2026-03-01T12:02:00Z"}, "received_at"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(
    world: World, values: dict[str, Any], field: str
) -> None:
    refused = await world.manager.post("/v1/receipts", json=money(await world.order(), 5, **values))
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


async def test_the_same_request_sent_twice_is_recorded_once(world: World) -> None:
    body, key = money(await world.order(), 5, 5), {"Idempotency-Key": str(new_id())}
    first = await world.manager.post("/v1/receipts", json=body, headers=key)
    again = await world.manager.post("/v1/receipts", json=body, headers=key)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert len(await world.events(body["customer_id"])) == 2


async def test_money_of_a_customer_that_nobody_knows_is_refused_by_name(world: World) -> None:
    body = {"customer_id": str(new_id()), "amount_minor": 5, "method": "cash"}
    refused = await world.manager.post("/v1/receipts", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "customer_id")
    body["customer_id"] = str(world.customer_service.add())
    assert (await world.manager.post("/v1/receipts", json=body)).status_code == 201


async def test_a_customer_sees_their_own_receipts_and_nobody_elses(world: World) -> None:
    own, other = await world.order(), await world.order()
    mine = (await world.manager.post("/v1/receipts", json=money(own, 5))).json()
    theirs = (await world.manager.post("/v1/receipts", json=money(other, 5))).json()
    ann = await world.caller("customer", UUID(own["customer_id"]))
    assert (await ann.get(f"/v1/receipts/{mine['id']}")).json() == mine
    assert (await ann.get(f"/v1/receipts/{theirs['id']}")).status_code == 404
    assert (await ann.get("/v1/receipts")).json()["items"] == [mine]


async def test_money_is_recorded_by_finance_and_not_by_sales(world: World) -> None:
    order = await world.order()
    sales, finance = await world.caller("sales"), await world.caller("finance")
    assert (await sales.post("/v1/receipts", json=money(order, 5))).status_code == 403
    assert (await finance.post("/v1/receipts", json=money(order, 5))).status_code == 201


async def test_a_receipt_that_is_not_there_is_not_found(world: World) -> None:
    assert (await world.manager.get(f"/v1/receipts/{new_id()}")).status_code == 404
