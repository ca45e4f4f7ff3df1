"""A purchase and a complaint become a score: over HTTP, through Kafka, exactly once, with reasons."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.testing.waiting import until
from tests.system.conftest import Patron, now


async def regular(patron: Patron) -> tuple[str, str]:
    """A customer who bought every other week for half a year, last two weeks ago."""
    customer, product = await patron.customer(), await patron.product()
    for week in range(26, 0, -2):
        placed = await patron.order(customer, product, now() - timedelta(weeks=week))
    await patron.score(customer, after=placed)
    return customer, product


async def test_a_new_customers_first_order_makes_a_score_with_reasons(patron: Patron) -> None:
    customer, product = await patron.customer(), await patron.product()
    placed = await patron.order(customer, product)
    score = await patron.score(customer, after=placed)
    assert score["progress"]["orders"] == 1
    assert 0 < score["churn"]["probability"] < 1
    assert score["value_minor"] > 0
    assert score["reasons"]
    assert 0 < score["loyalty"]["coverage"] < 1, "evidence that is missing is said to be missing"


async def test_buying_again_lowers_the_churn_risk(patron: Patron) -> None:
    customer, product = await regular(patron)
    before = await patron.score(customer)
    after = await patron.score(customer, after=await patron.order(customer, product))
    assert after["churn"]["probability"] < before["churn"]["probability"]
    assert after["p_alive"] > before["p_alive"]


async def test_a_complaint_raises_the_risk_and_is_named_as_a_reason(patron: Patron) -> None:
    customer, _ = await regular(patron)
    before = await patron.score(customer)
    after = await patron.score(customer, after=await patron.complaint(customer))
    assert after["churn"]["probability"] > before["churn"]["probability"]
    named = {reason["code"]: reason for reason in after["reasons"]}
    assert named["complaint_open"]["contribution"] > 0
    assert named["complaint_open"]["evidence"], "a reason cites the events it stands on"


async def test_a_recovery_leaves_less_risk_than_a_mishandled_complaint(patron: Patron) -> None:
    risks = {}
    for outcome in ("recovered", "mishandled"):
        customer, _ = await regular(patron)
        ticket = await patron.complaint(customer, now() - timedelta(days=10))
        path = f"/v1/tickets/{ticket.json()['id']}/resolve"
        resolved = await patron.call("POST", "service-desk", path, json={"outcome": outcome}, expect=200)
        risks[outcome] = (await patron.score(customer, after=resolved))["churn"]["probability"]
    assert risks["recovered"] < risks["mishandled"]


async def test_a_cancelled_order_leaves_the_score_as_if_it_had_not_been(patron: Patron) -> None:
    customer, product = await regular(patron)
    before = await patron.score(customer)
    placed = await patron.order(customer, product)
    moved = await patron.score(customer, after=placed)
    path = f"/v1/orders/{placed.json()['id']}/cancel"
    cancelled = await patron.call("POST", "orders", path, expect=200)
    after = await patron.score(customer, after=cancelled)
    assert moved["loyalty"] != before["loyalty"] or moved["p_alive"] != before["p_alive"]
    assert abs(after["p_alive"] - before["p_alive"]) < 1e-4, "only the seconds in between may show"
    assert after["value_minor"] <= before["value_minor"]
    again = await patron.call("POST", "orders", path)
    assert again.status_code == 409


async def test_contributions_add_up_to_the_score(patron: Patron) -> None:
    customer, _ = await regular(patron)
    score = await patron.score(customer, after=await patron.complaint(customer, now() - timedelta(days=3)))
    assert abs(sum(r["contribution"] for r in score["reasons"]) - score["churn"]["log_odds"]) < 1e-9


async def test_a_crossed_band_is_an_event_others_can_read(patron: Patron) -> None:
    customer, product = await patron.customer(), await patron.product()
    await patron.order(customer, product, now() - timedelta(weeks=100))
    found = await _first_event(patron, "patron.scoring", customer)
    assert found["ce_type"] == "scoring.churn_band_changed.v1"
    assert found["ce_sequence"] == "1"


async def test_the_trace_of_a_request_is_on_the_event_it_caused(patron: Patron) -> None:
    customer, product = await patron.customer(), await patron.product()
    placed = await patron.order(customer, product)
    found = await _first_event(patron, "patron.orders", customer)
    assert found["ce_correlationid"] == placed.headers["Trace-Id"]
    assert placed.headers["Trace-Id"] in found["ce_traceparent"]


async def _first_event(patron: Patron, topic: str, key: str) -> dict[str, str]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=patron.backing.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            async for record in consumer:
                if record.key == key.encode():
                    return {name: value.decode() for name, value in record.headers}
    finally:
        await consumer.stop()
    raise AssertionError("a consumer only ends with an exception")


async def test_a_poison_record_is_parked_shown_and_discarded_while_scoring_goes_on(patron: Patron) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=patron.backing.bootstrap)
    await producer.start()
    marker = f"poison-{uuid4()}".encode()
    await producer.send_and_wait("patron.orders", marker, key=b"whoever")
    await producer.stop()

    async def parked() -> list[dict[str, Any]]:
        found = await patron.call("GET", "scoring", "/v1/parked", role="administrator", expect=200)
        return [item for item in found.json()["items"] if item["value"] == marker.decode()]

    async def is_parked() -> bool:
        return bool(await parked())

    await until(is_parked)
    (found,) = await parked()
    assert "ce_partitionkey" in found["error"]
    customer, product = await patron.customer(), await patron.product()
    await patron.score(customer, after=await patron.order(customer, product))
    path = f"/v1/parked/{found['id']}/discard"
    await patron.call("POST", "scoring", path, json={"reason": "noise"}, role="administrator", expect=200)
    assert await parked() == []
    denied = await patron.call("GET", "scoring", "/v1/parked", role="agent")
    assert denied.status_code == 403


async def test_purchases_imported_late_and_twice_count_once(patron: Patron) -> None:
    customer, product = await patron.customer(), await patron.product()
    newest = await patron.order(customer, product)
    sku = (await patron.call("GET", "orders", f"/v1/products/{product}", expect=200)).json()["sku"]
    row = f"{uuid4()},{customer},{sku},1,500,store,{(now() - timedelta(days=300)).isoformat()}"
    csv = f"id,customer_id,sku,quantity,amount_minor,channel,ordered_at\n{row}\n"
    for expected in ("created", "unchanged"):
        imported = await patron.call(
            "POST",
            "orders",
            "/v1/imports/orders",
            content=csv,
            headers={"Content-Type": "text/csv"},
            expect=200,
        )
        assert imported.json()[expected] == 1
    score = await patron.score(customer, after=newest)

    async def both_are_in() -> bool:
        return bool((await patron.score(customer))["progress"]["orders"] == 2)

    await until(both_are_in)
    assert (await patron.score(customer))["expected_purchases"] != score["expected_purchases"]


async def test_the_list_shows_each_band_and_pages_through_it(patron: Patron) -> None:
    await regular(patron)
    seen: list[str] = []
    cursor = ""
    while True:
        path = f"/v1/scores?sort=-churn&limit=3{cursor}"
        page = (await patron.call("GET", "scoring", path, expect=200)).json()
        seen += [item["customer_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) > 0
