"""A customer's file over HTTP: opened, read, changed, and what is told to others."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from shared.events.customer import CustomerState
from shared.testing.http import client
from shared.web.concurrency import etag
from tests.service.customer.conftest import Archive

FULL: dict[str, Any] = {
    "type": "company",
    "name": "北京华兴科技有限公司",
    "phones": ["(202) 555-0123"],
    "emails": ["Sales@Huaxing.example"],
    "level": "gold",
    "class": "vip",
    "industry": "machines",
    "region": "north",
    "source": "fair",
    "owner_id": "mary",
    "credit_limit_minor": 500_000,
    "currency": "USD",
    "addresses": [{"label": "office", "street": "Zhongguancun 1", "city": "Beijing", "country": "CN"}],
    "contacts": [
        {
            "name": "王小明",
            "role": "decision_maker",
            "phone": "+86 138 0013 8000",
            "email": "W@huaxing.example",
        },
        {"name": "Li Na"},
    ],
    "tags": ["new", "fair-2026"],
    "notes": "Prefers mornings.\nAsk for Li Na.",
    "time_zone": "Asia/Shanghai",
}


async def create(http: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    answer = await http.post("/v1/customers", json={"type": "person", "name": "Ann Lee", **fields})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def change(
    http: httpx.AsyncClient, customer_id: str, version: int = 1, **fields: object
) -> httpx.Response:
    return await http.patch(f"/v1/customers/{customer_id}", json=fields, headers={"If-Match": etag(version)})


async def test_a_file_is_opened_and_read_back(archive: Archive, http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/customers", json=FULL)
    assert answer.status_code == 201
    customer = answer.json()
    assert answer.headers["ETag"] == etag(1)
    assert answer.headers["Location"] == f"/v1/customers/{customer['id']}"
    assert answer.headers["Sync-Token"] == f"customer:{customer['id']}=1"
    assert customer | {"id": "", "created_at": "", "updated_at": ""} == {
        **{name: value for name, value in FULL.items() if name != "currency"},
        "id": "", "created_at": "", "updated_at": "",
        "number": "C-000001",
        "version": 1,
        "status": "active",
        "phones": ["+12025550123"],
        "emails": ["sales@huaxing.example"],
        "addresses": [
            {"label": "office", "street": "Zhongguancun 1", "city": "Beijing", "region": None,
             "postal_code": None, "country": "CN"},
        ],
        "contacts": [
            {"name": "王小明", "role": "decision_maker", "phone": "+8613800138000",
             "email": "w@huaxing.example"},
            {"name": "Li Na", "role": "other", "phone": None, "email": None},
        ],
        "tags": ["fair-2026", "new"],
        "birthday": None,
        "created_by": "mary",
    }  # fmt: skip
    read = await http.get(f"/v1/customers/{customer['id']}")
    assert (read.status_code, read.json(), read.headers["ETag"]) == (200, customer, etag(1))


async def test_the_other_services_can_read_the_answer_as_the_state(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    customer = await create(http, **FULL)
    async with client(archive.app, "service") as service:
        answer = await service.get(f"/v1/customers/{customer['id']}")
    state = msgspec.json.decode(answer.content, type=CustomerState)
    assert (state.id, state.class_, state.tags) == (UUID(customer["id"]), "vip", ("fair-2026", "new"))


async def test_numbers_are_given_out_in_order_and_pass_over_those_stated(http: httpx.AsyncClient) -> None:
    assert (await create(http))["number"] == "C-000001"
    for number in ("C-000002", "C-000003", "C-000005"):
        await create(http, number=number)
    assert [(await create(http))["number"] for _ in range(2)] == ["C-000004", "C-000006"]


async def test_a_number_that_is_taken_is_a_conflict_that_names_it(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    await create(http, number="K 17")
    answer = await http.post("/v1/customers", json={"type": "person", "name": "Bo", "number": "K 17"})
    assert answer.status_code == 409
    assert "K 17 is taken" in answer.json()["detail"]
    assert answer.json()["errors"][0]["value"] == "K 17"
    other = await create(http)
    answer = await change(http, other["id"], number="K 17")
    assert answer.status_code == 409
    assert "K 17 is taken" in answer.json()["detail"]
    assert len(await archive.published(other["id"])) == 1


async def test_many_at_once_get_different_numbers(http: httpx.AsyncClient) -> None:
    customers = await asyncio.gather(*(create(http) for _ in range(20)))
    assert len({customer["number"] for customer in customers}) == 20


async def test_every_change_is_one_event_without_gaps_and_carries_the_whole_state(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    customer = await create(http, **FULL)
    steps: list[dict[str, Any]] = [
        {"level": "platinum"},
        {"name": "Huaxing"},
        {"status": "inactive", "phones": None},
    ]
    for version, fields in enumerate(steps, start=1):
        answer = await change(http, customer["id"], version, **fields)
        assert answer.headers["Sync-Token"] == f"customer:{customer['id']}={version + 1}"
    published = await archive.published(customer["id"])
    assert [event.seq for event in published] == [1, 2, 3, 4]
    assert [event.type for event in published] == [
        "customer.customer_created.v1", *["customer.customer_changed.v1"] * 3
    ]  # fmt: skip
    assert [event.data["customer"]["version"] for event in published] == [1, 2, 3, 4]
    assert [event.data.get("changed") for event in published] == [
        None, ["level"], ["name"], ["status", "phones"]
    ]  # fmt: skip
    assert published[-1].data["customer"] == {
        "id": customer["id"], "version": 4, "number": "C-000001", "type": "company", "status": "inactive",
        "level": "platinum", "class": "vip", "industry": "machines", "region": "north", "source": "fair",
        "owner_id": "mary", "credit_limit_minor": 500_000, "tags": ["fair-2026", "new"],
    }  # fmt: skip
    for event in published:
        for personal in ("华兴", "Huaxing", "huaxing", "555", "王小明", "Li Na", "Zhongguancun", "mornings"):
            assert personal not in event.raw


async def test_a_change_touches_only_what_it_names(http: httpx.AsyncClient) -> None:
    customer = await create(http, **FULL)
    answer = await change(http, customer["id"], level=None, notes="Call first.")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == etag(2)
    assert answer.json() == {
        **customer, "version": 2, "level": None, "notes": "Call first.",
        "updated_at": answer.json()["updated_at"],
    }  # fmt: skip


async def test_a_change_may_be_sent_as_a_merge_patch(http: httpx.AsyncClient) -> None:
    customer = await create(http)
    answer = await http.patch(
        f"/v1/customers/{customer['id']}",
        content='{"level": "gold"}',
        headers={"If-Match": etag(1), "Content-Type": "application/merge-patch+json"},
    )
    assert (answer.status_code, answer.json()["level"]) == (200, "gold")


async def test_a_change_that_changes_nothing_makes_no_version_and_no_event(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    customer = await create(http, **FULL)
    answer = await change(
        http, customer["id"], phones=["202-555-0123"], tags=["new", "fair-2026"], reason="tidying up"
    )
    assert (answer.status_code, answer.json()) == (200, customer)
    assert answer.headers["ETag"] == etag(1)
    assert len(await archive.published(customer["id"])) == 1
    assert (await http.get(f"/v1/customers/{customer['id']}/changes")).json()["items"] == []


async def test_history_tells_who_changed_what_when_and_why(archive: Archive, http: httpx.AsyncClient) -> None:
    customer = await create(http, level="iron", **{"class": "key"})
    archive.clock.advance(timedelta(hours=1))
    await change(http, customer["id"], level="gold", contacts=[{"name": "Bo"}], reason="Bought a lot.")
    archive.clock.advance(timedelta(hours=1))
    async with client(archive.app, "agent", sub="bob") as agent:
        await change(agent, customer["id"], 2, **{"class": None})
    answer = await http.get(f"/v1/customers/{customer['id']}/changes")
    contact = {"name": "Bo", "role": "other", "phone": None, "email": None}
    second = {
        "version": 2,
        "changed_at": "2026-03-01T13:00:00Z",
        "actor": "mary",
        "reason": "Bought a lot.",
    }
    assert answer.json() == {
        "items": [
            {"version": 3, "changed_at": "2026-03-01T14:00:00Z", "actor": "bob", "reason": None,
             "field": "class", "old": "key", "new": None},
            {**second, "field": "level", "old": "iron", "new": "gold"},
            {**second, "field": "contacts", "old": [], "new": [contact]},
        ],
        "next_cursor": None,
    }  # fmt: skip
    pages, cursor = [], None
    while True:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await http.get(f"/v1/customers/{customer['id']}/changes", params=params)).json()
        pages += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == answer.json()["items"]


async def test_of_two_changes_from_one_version_the_second_is_stale(http: httpx.AsyncClient) -> None:
    customer = await create(http)
    answers = await asyncio.gather(
        change(http, customer["id"], level="gold"), change(http, customer["id"], level="iron")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    [stale] = [answer for answer in answers if answer.status_code == 412]
    [done] = [answer for answer in answers if answer.status_code == 200]
    assert stale.json()["current"] == done.json()
    assert stale.headers["ETag"] == etag(2)


async def test_a_change_must_say_from_which_version(http: httpx.AsyncClient) -> None:
    customer = await create(http)
    url = f"/v1/customers/{customer['id']}"
    assert (await http.patch(url, json={"level": "gold"})).status_code == 428
    answer = await http.patch(url, json={"level": "gold"}, headers={"If-Match": "7"})
    assert answer.status_code == 400
    answer = await http.patch(url, json={"level": "gold"}, headers={"If-Match": "*"})
    assert answer.status_code == 200


async def test_the_same_key_and_body_open_one_file_another_body_is_refused(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body = {"type": "person", "name": "Ann"}
    first = await http.post("/v1/customers", json=body, headers=key)
    again = await http.post("/v1/customers", json=body, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Sync-Token"] == first.headers["Sync-Token"]
    other = await http.post("/v1/customers", json={**body, "name": "Bo"}, headers=key)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:patron:problem:idempotency-key-reused"
    assert await archive.database.fetchval("SELECT count(*) FROM customer") == 1
    assert await archive.database.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_refused_request_leaves_nothing_behind(archive: Archive, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    bad = await http.post("/v1/customers", json={"type": "person", "name": "A", "phones": ["1"]}, headers=key)
    assert bad.status_code == 422
    for table in ("customer", "outbox", "idempotency_key", "stream_seq"):
        assert await archive.database.fetchval(f"SELECT count(*) FROM {table}") == 0
    good = await http.post("/v1/customers", json={"type": "person", "name": "A"}, headers=key)
    assert good.status_code == 201


async def test_a_customer_that_is_not_there_is_404(http: httpx.AsyncClient) -> None:
    nobody = uuid4()
    for answer in (
        await http.get(f"/v1/customers/{nobody}"),
        await change(http, str(nobody), level="gold"),
        await http.get(f"/v1/customers/{nobody}/changes"),
    ):
        assert answer.status_code == 404
        assert str(nobody) in answer.json()["detail"]
    assert (await http.get("/v1/customers/C-000001")).status_code == 422


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ('{"type":"person","name":"\\ud800"}', None, "surrogate"),
        ('{"type":"person","name":"a\\u0000b"}', "name", "control"),
        ('{"type":"person","name":"Ann","credit_limit_minor":-1}', "credit_limit_minor", "greater"),
        (f'{{"type":"person","name":"Ann","credit_limit_minor":{10**500}}}', "credit_limit_minor", "less"),
        ('{"type":"person","name":"Ann","credit_limit_minor":5,"currency":"EUR"}', "currency", "USD"),
        ('{"type":"person","name":"Ann","phones":["12"]}', "phones.0", "country code"),
        ('{"type":"person","name":"Ann","emails":["ann"]}', "emails.0", "mail address"),
        ('{"type":"person","name":"Ann","birthday":"2099-01-01"}', "birthday", "future"),
        ('{"type":"company","name":"Acme","birthday":"1999-01-01"}', "birthday", "person"),
        ('{"type":"person","name":"Ann","shoe_size":44}', "shoe_size", "no such field"),
        ('{"name":"Ann"}', "type", "required"),
        ("[]", "body", "object"),
        ("nonsense", None, "JSON"),
    ],
)
async def test_bad_input_is_refused_by_field_value_and_rule(
    http: httpx.AsyncClient, body: str, field: str | None, says: str
) -> None:
    answer = await http.post("/v1/customers", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    problem = answer.json()
    if field is not None:
        assert problem["errors"][0]["field"] == field
    assert says in str(problem)


async def test_ten_megabytes_are_too_large(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/customers", json={"type": "person", "name": "A" * 10_000_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("role", ["finance", "analyst", "engineer"])
async def test_who_may_only_read_cannot_write(archive: Archive, http: httpx.AsyncClient, role: str) -> None:
    customer = await create(http)
    async with client(archive.app, role) as reader:
        assert (await reader.get(f"/v1/customers/{customer['id']}")).status_code == 200
        assert (await reader.post("/v1/customers", json={})).status_code in (403, 422)
        answer = await change(reader, customer["id"], level="gold")
        assert (answer.status_code, answer.json()["missing_scope"]) == (403, "customers:write")


async def test_without_a_token_nothing_is_said(archive: Archive, http: httpx.AsyncClient) -> None:
    customer = await create(http)
    async with client(archive.app, None) as stranger:
        for answer in (
            await stranger.get(f"/v1/customers/{customer['id']}"),
            await stranger.get("/v1/customers"),
        ):
            assert answer.status_code == 401


async def test_customers_see_their_own_file_and_nothing_internal(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    own, other = await create(http, **FULL), await create(http)
    async with client(archive.app, "customer", customer_id=UUID(own["id"])) as customer:
        answer = await customer.get(f"/v1/customers/{own['id']}")
        assert answer.status_code == 200
        assert answer.json()["phones"] == own["phones"]
        for internal in ("notes", "class", "level", "tags", "contacts", "owner_id", "credit_limit_minor"):
            assert internal not in answer.json()
        hidden = await customer.get(f"/v1/customers/{other['id']}")
        missing = await customer.get(f"/v1/customers/{uuid4()}")
        assert (hidden.status_code, missing.status_code) == (404, 404)
        assert hidden.json()["title"] == missing.json()["title"]
        assert (await customer.get("/v1/customers")).status_code == 404
        assert (await customer.get("/v1/customers?class=vip")).status_code == 404
        assert (await customer.get(f"/v1/customers/{own['id']}/changes")).status_code == 404
        assert (await customer.get(f"/v1/customers/{other['id']}/changes")).status_code == 404
        assert (await change(customer, own["id"], level="gold")).status_code == 403
        assert (await customer.post("/v1/imports/customers", content=b"")).status_code == 403


async def test_every_route_is_described(http: httpx.AsyncClient) -> None:
    described = (await http.get("/openapi.json")).json()
    assert {"get", "post"} <= described["paths"]["/v1/customers"].keys()
    assert {"get", "patch"} <= described["paths"]["/v1/customers/{customer_id}"].keys()
    assert "class" in described["components"]["schemas"]["CreateCustomer"]["properties"]
    assert "default" not in described["components"]["schemas"]["ChangeCustomer"]["properties"]["name"]
