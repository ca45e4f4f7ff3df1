"""Lists of customers: filtered, searched, sorted, paged."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.testing.http import client
from tests.conftest import MakeDatabase
from tests.service.customer.conftest import open_archive

CUSTOMERS: list[dict[str, Any]] = [
    {"type": "person", "name": "John A. Smith", "phones": ["+12025550101"], "level": "gold", "tags": ["a"]},
    {"type": "person", "name": "Joanna Smithson", "emails": ["jo@example.com"], "class": "vip"},
    {"type": "person", "name": "王小明", "phones": ["+86 138 0013 8000"], "region": "north",
     "tags": ["a", "b"]},
    {"type": "person", "name": "李小明", "owner_id": "bob", "number": "K-77"},
    {"type": "company", "name": "北京华兴科技有限公司", "industry": "machines", "source": "fair",
     "contacts": [{"name": "Petra Müller", "phone": "+49 30 901820", "email": "PM@Huaxing.example"}]},
    {"type": "company", "name": "Acme 100%", "status": "inactive", "level": "gold"},
]  # fmt: skip


@pytest.fixture(scope="module")
async def shop(make_database: MakeDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """A manager calling a service that knows these customers; no test here changes them."""
    async with open_archive(make_database) as archive, client(archive.app, "manager") as http:
        for customer in CUSTOMERS:
            answer = await http.post("/v1/customers", json=customer)
            assert answer.status_code == 201, answer.text
            archive.clock.advance(timedelta(minutes=len(customer) % 2))
        yield http


async def names(http: httpx.AsyncClient, **params: str) -> set[str]:
    answer = await http.get("/v1/customers", params=params)
    assert answer.status_code == 200, answer.text
    return {item["name"] for item in answer.json()["items"]}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, {customer["name"] for customer in CUSTOMERS}),
        ({"type": "company"}, {"北京华兴科技有限公司", "Acme 100%"}),
        ({"status": "inactive"}, {"Acme 100%"}),
        ({"level": "gold"}, {"John A. Smith", "Acme 100%"}),
        ({"level": "gold", "type": "person"}, {"John A. Smith"}),
        ({"class": "vip"}, {"Joanna Smithson"}),
        ({"region": "north"}, {"王小明"}),
        ({"industry": "machines"}, {"北京华兴科技有限公司"}),
        ({"source": "fair"}, {"北京华兴科技有限公司"}),
        ({"owner_id": "bob"}, {"李小明"}),
        ({"number": "K-77"}, {"李小明"}),
        ({"tag": "a"}, {"John A. Smith", "王小明"}),
        ({"phone": "(202) 555-0101"}, {"John A. Smith"}),
        ({"phone": " 8613800138000"}, {"王小明"}),
        ({"phone": "+49 30 901820"}, {"北京华兴科技有限公司"}),
        ({"email": "JO@Example.com"}, {"Joanna Smithson"}),
        ({"email": "pm@huaxing.example"}, {"北京华兴科技有限公司"}),
        ({"level": "GOLD"}, set()),
        ({"search": "smith"}, {"John A. Smith", "Joanna Smithson"}),
        ({"search": "smith john"}, {"John A. Smith"}),
        ({"search": "jo"}, {"John A. Smith", "Joanna Smithson"}),
        ({"search": "小明"}, {"王小明", "李小明"}),
        ({"search": "王"}, {"王小明"}),
        ({"search": "科技"}, {"北京华兴科技有限公司"}),
        ({"search": "muller"}, {"北京华兴科技有限公司"}),
        ({"search": "555-0101"}, {"John A. Smith"}),
        ({"search": "0138 0013 8000"}, {"王小明"}),
        ({"search": "k-7"}, {"李小明"}),
        ({"search": "100%"}, {"Acme 100%"}),
        ({"search": "%"}, {"Acme 100%"}),
        ({"search": "明小"}, set()),
        ({"search": "smith", "level": "gold"}, {"John A. Smith"}),
    ],
)
async def test_a_list_holds_those_to_whom_all_filters_apply(
    shop: httpx.AsyncClient, filters: dict[str, str], found: set[str]
) -> None:
    assert await names(shop, **filters) == found


@pytest.mark.parametrize("sort", ["name", "created_at", "updated_at", "number"])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_in_any_order_give_every_customer_once(
    shop: httpx.AsyncClient, sort: str, descending: bool
) -> None:
    seen: list[dict[str, Any]] = []
    params: dict[str, str | int] = {"limit": 2, "sort": f"-{sort}" if descending else sort}
    while True:
        page = (await shop.get("/v1/customers", params=params)).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        params["cursor"] = page["next_cursor"]
    assert len({item["id"] for item in seen}) == len(seen) == len(CUSTOMERS)
    keys = [(item[sort], item["id"]) for item in seen]
    assert keys == sorted(keys, reverse=descending)


async def test_a_cursor_is_good_for_its_own_list_only(shop: httpx.AsyncClient) -> None:
    cursor = (await shop.get("/v1/customers", params={"limit": 1})).json()["next_cursor"]
    for params in (
        {"cursor": cursor, "sort": "name"},
        {"cursor": cursor, "level": "gold"},
        {"cursor": cursor[:-2] + ("aa" if cursor[-2:] != "aa" else "bb")},
        {"cursor": "nonsense"},
    ):
        answer = await shop.get("/v1/customers", params=params)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"colour": "blue"}, "colour"),
        ({"sort": "notes"}, "sort"),
        ({"sort": "name; DROP TABLE customer"}, "sort"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"status": "gone"}, "status"),
        ({"phone": "12"}, "phone"),
        ({"search": "a\0b"}, "search"),
        ({"search": "  "}, "search"),
        ({"level": "a\0"}, "level"),
    ],
)
async def test_what_a_list_does_not_know_is_refused_by_name(
    shop: httpx.AsyncClient, params: dict[str, str], field: str
) -> None:
    answer = await shop.get("/v1/customers", params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
