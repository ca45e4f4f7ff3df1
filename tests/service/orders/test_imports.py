"""Products and orders in bulk."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orders.customers.enquiry import MOST_FRUITLESS
from shared.db import new_id

from .conftest import World

CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"\n".join(msgspec.json.encode(row) for row in rows)


async def imported(world: World, what: str, content: bytes, headers: dict[str, str]) -> dict[str, Any]:
    answer = await world.manager.post(f"/v1/imports/{what}", content=content, headers=headers)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def tally(found: dict[str, Any]) -> tuple[int, int, int, int]:
    return found["rows"], found["created"], found["unchanged"], found["rejected"]


async def sku_of(world: World, price: int = 1000, **values: Any) -> str:
    sku = f"I-{new_id()}"
    await world.product(price, sku=sku, **values)
    return sku


async def test_orders_of_a_csv_are_recorded_with_their_events(world: World) -> None:
    ann, bob, sku = await world.customer(), await world.customer(), await sku_of(world)
    rows = [
        {
            "id": new_id(), "customer_id": customer, "sku": sku, "quantity": 2, "amount_minor": 1900,
            "list_amount_minor": 2000,
            "channel": "store", "ordered_at": f"2025-0{month}-01T10:00:00Z", "status": status,
        }
        for customer, month, status in ((ann, 1, "completed"), (bob, 2, ""), (ann, 3, "placed"))
    ]  # fmt: skip
    assert tally(await imported(world, "orders", as_csv(rows), CSV)) == (3, 3, 0, 0)
    order = (await world.manager.get(f"/v1/orders/{rows[0]['id']}")).json()
    assert (order["status"], order["version"], order["total_minor"], order["list_total_minor"]) == (
        "completed", 2, 1900, 2000,
    )  # fmt: skip
    assert order["completed_at"] == order["ordered_at"] == "2025-01-01T10:00:00Z"
    assert [(seq, type_, data["order"]["version"]) for seq, type_, data in await world.events(ann)] == [
        (1, "orders.order_placed.v1", 1),
        (2, "orders.order_completed.v1", 2),
        (3, "orders.order_placed.v1", 1),
    ]
    assert [seq for seq, *_ in await world.events(bob)] == [1]


async def test_json_lines_carry_one_line_or_several(world: World) -> None:
    ann, sku, product = str(await world.customer()), await sku_of(world, 100), str(await world.product(7))
    lines = [{"sku": sku, "quantity": 2}, {"product_id": product, "quantity": 3, "amount_minor": 20}]
    rows: list[dict[str, Any]] = [
        {"customer_id": ann, "channel": "web", "sku": sku, "quantity": 1},
        {"customer_id": ann, "channel": "web", "lines": lines},
    ]
    assert tally(await imported(world, "orders", as_lines(rows), LINES)) == (2, 2, 0, 0)
    events = await world.events(ann)
    assert [data["order"]["total_minor"] for _, _, data in events] == [100, 220]
    assert [data["order"]["list_total_minor"] for _, _, data in events] == [100, 220]


async def test_an_import_sent_again_changes_nothing(world: World) -> None:
    ann, sku = str(await world.customer()), await sku_of(world)
    rows = [
        {"id": str(new_id()), "customer_id": ann, "channel": "web", "sku": sku, "quantity": n}
        for n in range(1, 1201)
    ]
    assert tally(await imported(world, "orders", as_lines(rows), LINES)) == (1200, 1200, 0, 0)
    await world.manager.post(f"/v1/orders/{rows[0]['id']}/cancel")
    assert tally(await imported(world, "orders", as_lines(rows), LINES)) == (1200, 0, 1200, 0)
    rows[1]["quantity"] = 7
    again = await imported(world, "orders", as_lines([*rows[:3], rows[1]]), LINES)
    assert (tally(again), [(e["row"], e["field"]) for e in again["errors"]]) == (
        (4, 0, 2, 2),
        [(2, "id"), (4, "id")],
    )
    events = await world.events(ann)
    assert [seq for seq, *_ in events] == list(range(1, 1202))


async def test_the_same_row_twice_in_one_file_is_one_order(world: World) -> None:
    ann, sku = str(await world.customer()), await sku_of(world)
    row = {"id": str(new_id()), "customer_id": ann, "channel": "web", "sku": sku, "quantity": 1}
    assert tally(await imported(world, "orders", as_lines([row, row]), LINES)) == (2, 1, 1, 0)


async def test_two_imports_of_one_file_at_once_record_it_once(world: World) -> None:
    ann, sku = str(await world.customer()), await sku_of(world)
    rows = [
        {"id": str(new_id()), "customer_id": ann, "channel": "web", "sku": sku, "quantity": 1}
        for _ in range(300)
    ]
    both = await asyncio.gather(
        imported(world, "orders", as_lines(rows), LINES),
        imported(world, "orders", as_lines(rows[::-1]), LINES),
    )
    assert sum(found["created"] for found in both) == 300
    assert sum(found["unchanged"] for found in both) == 300
    assert len(await world.events(ann)) == 300


async def test_every_bad_row_is_reported_by_row_and_field_and_the_others_are_imported(world: World) -> None:
    ann, sku = str(await world.customer()), await sku_of(world)
    gone, dear = await sku_of(world, active=False), await sku_of(world, 10**15)
    good = {"customer_id": ann, "channel": "web", "sku": sku, "quantity": 1}
    rows = [
        (good, None),
        ({**good, "quantity": -1}, "quantity"),
        ({**good, "sku": "NONE"}, "sku"),
        ({**good, "sku": gone}, "product_id"),
        ({**good, "sku": gone, "status": "completed"}, None),
        ({**good, "sku": dear, "quantity": 2}, "quantity"),
        ({**good, "ordered_at": "2026-03-02T12:00:00Z"}, "ordered_at"),
        ({**good, "currency": "EUR"}, "currency"),
        ({**good, "customer_id": str(await world.customer("inactive"))}, "customer_id"),
        ({**good, "customer_id": str(new_id())}, "customer_id"),
        ({**good, "colour": "red"}, "colour"),
        ({**good, "lines": [{"sku": sku, "quantity": 1}]}, "quantity"),
        (good, None),
    ]
    found = await imported(world, "orders", as_lines(row for row, _ in rows), LINES)
    assert [(e["row"], e["field"]) for e in found["errors"]] == [
        (n, field) for n, (_, field) in enumerate(rows, 1) if field
    ]
    assert tally(found) == (13, 3, 0, 10)
    assert len(await world.events(ann)) == 4


async def test_what_is_no_row_at_all_is_reported_too(world: World) -> None:
    content = b'{"customer_id": "\\ud800"}\nnot json\n{}\n[]\n'
    found = await imported(world, "orders", content, LINES)
    assert tally(found) == (4, 0, 0, 4)


async def test_customers_not_known_yet_are_asked_for_once_each(world: World) -> None:
    new = [world.customer_service.add() for _ in range(150)]
    sku = await sku_of(world)
    rows = [
        {"customer_id": str(customer), "channel": "web", "sku": sku, "quantity": 1}
        for customer in new
        for _ in range(2)
    ]
    world.customer_service.asked.clear()
    assert tally(await imported(world, "orders", as_lines(rows), LINES)) == (300, 300, 0, 0)
    assert sorted(world.customer_service.asked) == sorted(new)


async def test_a_file_of_wrong_customers_does_not_flood_the_customer_service(world: World) -> None:
    sku = await sku_of(world)
    rows = [{"customer_id": str(new_id()), "channel": "web", "sku": sku, "quantity": 1} for _ in range(1200)]
    world.customer_service.asked.clear()
    found = await imported(world, "orders", as_lines(rows), LINES)
    assert (tally(found), {e["field"] for e in found["errors"]}) == ((1200, 0, 0, 1200), {"customer_id"})
    assert len(world.customer_service.asked) == MOST_FRUITLESS


async def test_while_the_customer_service_is_away_rows_of_known_customers_are_imported(world: World) -> None:
    sku = await sku_of(world)
    rows = [
        {"customer_id": str(customer), "channel": "web", "sku": sku, "quantity": 1}
        for customer in (await world.customer(), world.customer_service.add())
    ]
    world.customer_service.away = True
    try:
        found = await imported(world, "orders", as_lines(rows), LINES)
    finally:
        world.customer_service.away = False
        world.app.state.customer_directory._breaker.answered()
    assert (tally(found), found["errors"][0]["field"]) == ((2, 1, 0, 1), "customer_id")
    assert "does not answer" in found["errors"][0]["rule"]


async def test_products_are_imported_and_an_import_sent_again_changes_nothing(world: World) -> None:
    rows = [
        {"id": new_id(), "sku": f"P-{n}", "name": f"Product {n}", "unit": "piece", "list_price_minor": n}
        for n in range(1000)
    ]
    assert tally(await imported(world, "products", as_csv(rows), CSV)) == (1000, 1000, 0, 0)
    assert tally(await imported(world, "products", as_csv(rows), CSV)) == (1000, 0, 1000, 0)
    assert [type_ for _, type_, _ in await world.events(rows[0]["id"])] == ["orders.product_added.v1"]
    wrong = [
        {**rows[0], "list_price_minor": 5},
        {**rows[1], "id": new_id(), "name": "Another"},
        {**rows[2], "sku": "P-new", "name": "a\x00b"},
        {**rows[3], "id": new_id()},
    ]
    found = await imported(world, "products", as_csv(wrong), CSV)
    assert [(e["row"], e["field"]) for e in found["errors"]] == [(1, "id"), (2, "sku"), (3, "name")]
    assert found["unchanged"] == 1


async def test_an_import_needs_its_scope_and_a_format_it_reads(world: World) -> None:
    sales = await world.caller("sales")
    for what in ("orders", "products"):
        refused = await sales.post(f"/v1/imports/{what}", content=b"", headers=CSV)
        assert refused.json()["missing_scope"] == f"{what}:import"
        refused = await world.manager.post(f"/v1/imports/{what}", json=[])
        assert refused.status_code == 415
