"""Products over HTTP."""

import asyncio
from typing import Any

import pytest

from shared.db import new_id
from shared.web.concurrency import etag

from .conftest import World

JSON = {"Content-Type": "application/json"}


def tea(**values: Any) -> dict[str, Any]:
    return {"sku": f"T-{new_id()}", "name": "Tea", "list_price_minor": 250, **values}


async def test_a_product_is_added_and_published(world: World) -> None:
    body = tea(category="hot drinks", unit="box", currency="USD")
    added = await world.manager.post("/v1/products", json=body)
    assert (added.status_code, added.headers["ETag"]) == (201, etag(1))
    product = added.json()
    assert product == {
        "id": product["id"], "version": 1, "sku": body["sku"], "name": "Tea", "category": "hot drinks",
        "unit": "box", "list_price_minor": 250, "active": True,
    }  # fmt: skip
    assert (await world.manager.get(added.headers["Location"])).json() == product
    events = await world.events(product["id"])
    assert events == [(1, "orders.product_added.v1", {"product_id": product["id"], "product": product})]
    assert added.headers["Sync-Token"] == f"orders:{product['id']}=1"


async def test_an_sku_names_one_product(world: World) -> None:
    body = tea()
    await world.manager.post("/v1/products", json=body)
    refused = await world.manager.post("/v1/products", json={**body, "name": "Coffee"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (409, "sku")


async def test_of_many_who_add_one_sku_at_once_exactly_one_wins(world: World) -> None:
    body = tea()
    answers = await asyncio.gather(*(world.manager.post("/v1/products", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "a\x00b"}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"sku": " "}, "sku"),
        ({"list_price_minor": -1}, "list_price_minor"),
        ({"list_price_minor": 10**30}, "list_price_minor"),
        ({"currency": "EUR"}, "currency"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(
    world: World, values: dict[str, Any], field: str
) -> None:
    refused = await world.manager.post("/v1/products", json=tea(**values))
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


async def test_a_lone_surrogate_is_no_character_of_a_name(world: World) -> None:
    content = b'{"sku": "X", "list_price_minor": 1, "name": "a\\ud800b"}'
    refused = await world.manager.post("/v1/products", content=content, headers=JSON)
    assert refused.status_code == 400
    assert "surrogate" in refused.json()["detail"]


async def test_a_change_names_the_version_it_was_made_from(world: World) -> None:
    path = f"/v1/products/{await world.product(250)}"
    assert (await world.manager.patch(path, json={"name": "Tea"})).status_code == 428
    tag = (await world.manager.get(path)).headers["ETag"]
    first = await world.manager.patch(path, json={"list_price_minor": 300}, headers={"If-Match": tag})
    assert (first.status_code, first.headers["ETag"]) == (200, etag(2))
    second = await world.manager.patch(path, json={"list_price_minor": 310}, headers={"If-Match": tag})
    assert (second.status_code, second.json()["current"]["list_price_minor"]) == (412, 300)


async def test_of_many_changes_from_one_version_exactly_one_wins(world: World) -> None:
    product_id = await world.product(250)
    answers = await asyncio.gather(
        *(
            world.manager.patch(
                f"/v1/products/{product_id}", json={"list_price_minor": n}, headers={"If-Match": etag(1)}
            )
            for n in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert [(seq, data["product"]["version"]) for seq, _, data in await world.events(product_id)] == [
        (1, 1),
        (2, 2),
    ]


async def test_a_change_to_what_is_there_tells_nobody(world: World) -> None:
    product_id = await world.product(250)
    same = await world.manager.patch(
        f"/v1/products/{product_id}", json={"list_price_minor": 250}, headers={"If-Match": "*"}
    )
    assert (same.status_code, same.headers["ETag"], "Sync-Token" in same.headers) == (200, etag(1), False)
    assert len(await world.events(product_id)) == 1


async def test_an_order_keeps_the_price_it_was_placed_at(world: World) -> None:
    order = await world.order(price=1000)
    await world.manager.patch(
        f"/v1/products/{order['lines'][0]['product_id']}",
        json={"list_price_minor": 1},
        headers={"If-Match": "*"},
    )
    assert (await world.manager.get(f"/v1/orders/{order['id']}")).json() == order


async def test_a_product_that_is_not_there_is_not_found(world: World) -> None:
    path = f"/v1/products/{new_id()}"
    assert (await world.manager.get(path)).status_code == 404
    assert (await world.manager.patch(path, json={}, headers={"If-Match": "*"})).status_code == 404


async def test_sales_people_read_products_and_do_not_add_them(world: World) -> None:
    sales = await world.caller("sales")
    assert (await sales.get(f"/v1/products/{await world.product()}")).status_code == 200
    assert (await sales.post("/v1/products", json=tea())).status_code == 403
