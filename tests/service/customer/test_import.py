"""Customers in bulk."""

import json
from typing import Any
from uuid import uuid4

import httpx

from shared.testing.http import client
from tests.service.customer.conftest import Archive


async def load(http: httpx.AsyncClient, rows: list[dict[str, Any]]) -> dict[str, Any]:
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    answer = await http.post(
        "/v1/imports/customers", content=body.encode(), headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def person(n: int, **fields: object) -> dict[str, Any]:
    return {"id": str(uuid4()), "type": "person", "name": f"Person {n}", **fields}


async def test_an_import_follows_the_rules_and_tells_of_every_customer(
    archive: Archive, http: httpx.AsyncClient
) -> None:
    rows = [person(n, phones=[f"202 555 {n:04}"]) for n in range(100, 1300)]
    assert await load(http, rows) == {
        "rows": 1200, "created": 1200, "unchanged": 0, "rejected": 0, "errors": []
    }  # fmt: skip
    answer = (await http.get(f"/v1/customers/{rows[7]['id']}")).json()
    assert (answer["phones"], answer["version"]) == (["+12025550107"], 1)
    assert await archive.database.fetchval("SELECT count(DISTINCT number) FROM customer") == 1200
    [event] = await archive.published(rows[7]["id"])
    assert (event.seq, event.type) == (1, "customer.customer_created.v1")
    assert event.data["customer"]["number"] == answer["number"]
    assert await archive.database.fetchval("SELECT count(*) FROM outbox") == 1200


async def test_the_same_rows_again_change_nothing(archive: Archive, http: httpx.AsyncClient) -> None:
    rows = [
        person(1),
        person(
            2, number="K-2", contacts=[{"name": "Bo"}], addresses=[{"city": "Ulm"}], birthday="1990-01-01"
        ),
    ]
    await load(http, rows)
    again = await load(http, [*rows, person(3), rows[0]])
    assert (again["created"], again["unchanged"], again["rejected"]) == (1, 3, 0)
    assert await archive.database.fetchval("SELECT count(*) FROM outbox") == 3
    assert (await http.get(f"/v1/customers/{rows[1]['id']}")).json()["version"] == 1


async def test_an_id_that_exists_with_other_content_is_refused(http: httpx.AsyncClient) -> None:
    row = person(1)
    await load(http, [row])
    done = await load(http, [{**row, "name": "Another"}, person(2)])
    assert (done["created"], done["rejected"]) == (1, 1)
    assert (done["errors"][0]["row"], done["errors"][0]["field"]) == (1, "id")
    assert done["errors"][0]["value"] == row["id"]


async def test_bad_rows_are_named_and_the_others_imported(archive: Archive, http: httpx.AsyncClient) -> None:
    taken = person(0, number="K-1")
    await load(http, [taken])
    twin = person(6)
    done = await load(
        http,
        [
            person(1),
            person(2, phones=["12"]),
            person(3, number="K-1"),
            person(4, credit_limit_minor=1, currency="EUR"),
            person(5, birthday="2090-01-01"),
            twin,
            {**twin, "name": "Not the same"},
            person(7, number="K-2"),
            person(8, number="K-2"),
            {"name": "nobody"},
            person(9),
        ],
    )
    assert (done["rows"], done["created"], done["rejected"]) == (11, 4, 7)
    assert [(error["row"], error["field"]) for error in done["errors"]] == [
        (2, "phones.0"), (3, "number"), (4, "currency"), (5, "birthday"), (7, "id"), (9, "number"),
        (10, "type"),
    ]  # fmt: skip
    assert await archive.database.fetchval("SELECT count(*) FROM outbox") == 5


async def test_numbers_given_out_do_not_take_those_that_rows_state(http: httpx.AsyncClient) -> None:
    done = await load(http, [person(1), person(2), person(3, number="C-000001")])
    assert done["created"] == 3
    listed = (await http.get("/v1/customers", params={"sort": "number"})).json()["items"]
    assert [item["number"] for item in listed] == ["C-000001", "C-000002", "C-000003"]


async def test_rows_without_an_id_are_new_each_time(http: httpx.AsyncClient) -> None:
    row = {"type": "person", "name": "Ann"}
    assert (await load(http, [row, row]))["created"] == 2


async def test_a_csv_is_read_by_the_same_rules(http: httpx.AsyncClient) -> None:
    text = (
        "type,name,phones,tags,class,credit_limit_minor,contacts\r\n"
        'company,"华兴, 北京",202 555 0123; +86 138 0013 8000,b;a,vip,500,"[{""name"": ""Bo""}]"\r\n'
        "person,Ann,,,,-5,\r\n"
        "person,Bo,,,,,no json\r\n"
        "person,Cy,12,,,,\r\n"
        'person,Di,,,,,"[{""name"": ""\\ud800""}]"\r\n'
    )
    answer = await http.post(
        "/v1/imports/customers", content=text.encode(), headers={"Content-Type": "text/csv"}
    )
    done = answer.json()
    assert (done["created"], done["rejected"]) == (1, 4)
    assert {(error["row"], error["field"]) for error in done["errors"]} == {
        (2, "credit_limit_minor"), (3, "contacts"), (4, "phones.0"), (5, "contacts.0.name")
    }  # fmt: skip
    [customer] = (await http.get("/v1/customers")).json()["items"]
    assert customer["name"] == "华兴, 北京"
    assert customer["phones"] == ["+12025550123", "+8613800138000"]
    assert (customer["tags"], customer["class"], customer["credit_limit_minor"]) == (["a", "b"], "vip", 500)
    assert customer["contacts"][0]["name"] == "Bo"


async def test_importing_needs_its_own_scope(archive: Archive) -> None:
    async with client(archive.app, "sales") as sales:
        answer = await sales.post("/v1/imports/customers", content=b"")
    assert (answer.status_code, answer.json()["missing_scope"]) == (403, "customers:import")
