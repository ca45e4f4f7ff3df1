"""Lists of orders, products and receipts: filters, order, pages."""

from typing import Any

import httpx
import pytest

from .conftest import World


async def every_page(caller: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """Walk a list two by two."""
    items: list[dict[str, Any]] = []
    params["limit"] = 2
    while True:
        page = (await caller.get(path, params=params)).raise_for_status().json()
        assert len(page["items"]) <= 2
        items += page["items"]
        params["cursor"] = page["next_cursor"]
        if params["cursor"] is None:
            return items


async def test_orders_are_listed_newest_first_page_by_page(world: World) -> None:
    customer_id = await world.customer()
    days = ["2026-02-03", "2026-02-01", "2026-02-02", "2026-02-02", "2026-02-05"]
    for day in days:
        await world.order(customer_id, ordered_at=f"{day}T10:00:00Z")
    for sort, ordered in (("-ordered_at", sorted(days, reverse=True)), ("ordered_at", sorted(days))):
        found = await every_page(world.manager, "/v1/orders", customer_id=customer_id, sort=sort)
        assert [order["ordered_at"][:10] for order in found] == ordered
        assert len({order["id"] for order in found}) == 5


async def test_orders_are_filtered_by_everything_at_once(world: World) -> None:
    customer_id = await world.customer()
    wanted = await world.order(customer_id, ordered_at="2026-02-02T00:00:00Z", channel="phone")
    await world.order(customer_id, ordered_at="2026-02-02T00:00:00Z", channel="web")
    await world.order(customer_id, ordered_at="2026-02-01T23:59:59Z", channel="phone")
    await world.order(customer_id, ordered_at="2026-02-03T00:00:00Z", channel="phone")
    await world.order(ordered_at="2026-02-02T00:00:00Z", channel="phone")
    cancelled = await world.order(customer_id, ordered_at="2026-02-02T00:00:00Z", channel="phone")
    await world.manager.post(f"/v1/orders/{cancelled['id']}/cancel")
    params = {
        "customer_id": customer_id,
        "status": "placed",
        "channel": "phone",
        "ordered_from": "2026-02-02T08:00:00+08:00",
        "ordered_to": "2026-02-03T00:00:00Z",
    }
    assert await every_page(world.manager, "/v1/orders", **params) == [wanted]


async def test_a_cursor_holds_for_its_own_list_sort_and_filters_only(world: World) -> None:
    customer_id = await world.customer()
    for _ in range(3):
        await world.order(customer_id)
    params = {"customer_id": str(customer_id), "limit": "2"}
    cursor = (await world.manager.get("/v1/orders", params=params)).json()["next_cursor"]
    tampered = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    for wrong in (
        {**params, "cursor": tampered},
        {**params, "cursor": cursor[:-4]},
        {**params, "cursor": "%00"},
        {**params, "cursor": cursor, "sort": "ordered_at"},
        {**params, "cursor": cursor, "status": "placed"},
        {"cursor": cursor},
    ):
        refused = await world.manager.get("/v1/orders", params=wrong)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "cursor"
    elsewhere = await world.manager.get("/v1/receipts", params={**params, "cursor": cursor})
    assert elsewhere.status_code == 422
    assert (
        len((await world.manager.get("/v1/orders", params={**params, "cursor": cursor})).json()["items"]) == 1
    )


@pytest.mark.parametrize(
    "params",
    [
        {"custmer_id": "x"}, {"limit": "0"}, {"limit": "201"}, {"status": "lost"}, {"channel": "fax"},
        {"sort": "total"}, {"customer_id": "7"}, {"ordered_from": "yesterday"},
        {"ordered_to": "2026-02-03T00:00:00"},
    ],
)  # fmt: skip
async def test_a_query_that_the_list_does_not_know_is_refused_by_name(
    world: World, params: dict[str, str]
) -> None:
    refused = await world.manager.get("/v1/orders", params=params)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == list(params)


async def test_a_period_that_ends_before_it_begins_is_refused(world: World) -> None:
    period = {"ordered_from": "2026-02-03T00:00:00Z", "ordered_to": "2026-02-03T00:00:00Z"}
    refused = await world.manager.get("/v1/orders", params=period)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["field"], error["rule"]) == (
        "ordered_to",
        "must be after ordered_from 2026-02-03T00:00:00Z",
    )


async def test_products_are_listed_by_sku_and_filtered(world: World) -> None:
    for sku, active in (("L-3", True), ("L-1", True), ("L-2", False), ("L-4", True)):
        await world.product(sku=sku, active=active, category="listed")
    found = await every_page(world.manager, "/v1/products", category="listed")
    assert [product["sku"] for product in found] == ["L-1", "L-2", "L-3", "L-4"]
    found = await every_page(world.manager, "/v1/products", category="listed", active=True)
    assert [product["sku"] for product in found] == ["L-1", "L-3", "L-4"]
    (found_by_sku,) = await every_page(world.manager, "/v1/products", sku="L-2")
    assert found_by_sku["active"] is False


async def test_receipts_are_listed_newest_first(world: World) -> None:
    customer_id = await world.customer()
    for day in ("02", "04", "01", "03"):
        body = {
            "customer_id": str(customer_id),
            "amount_minor": 1,
            "method": "cash",
            "received_at": f"2026-02-{day}T10:00:00Z",
        }
        (await world.manager.post("/v1/receipts", json=body)).raise_for_status()
    found = await every_page(world.manager, "/v1/receipts", customer_id=customer_id)
    assert [receipt["received_at"][8:10] for receipt in found] == ["04", "03", "02", "01"]
