"""What a request body must be, and how a caller learns that it is not."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.testing.http import client

CUSTOMER = "018f3f0a-0000-7000-8000-000000000001"
PRODUCT = "018f3f0a-0000-7000-8000-000000000002"
JSON = {"Content-Type": "application/json"}


def order(**changes: Any) -> dict[str, Any]:
    return {"customer_id": CUSTOMER, "lines": [{"product_id": PRODUCT, "quantity": 1}], **changes}


async def errors(http: httpx.AsyncClient, body: Any) -> dict[str, tuple[str, Any]]:
    answer = await http.post("/v1/orders", json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == "urn:patron:problem:invalid"
    return {e["field"]: (e["rule"].partition(":")[0], e.get("value")) for e in problem["errors"]}


async def test_texts_of_the_right_form_are_read_as_ids_instants_and_enum_values(
    http: httpx.AsyncClient,
) -> None:
    body = order(channel="store", ordered_at="2026-01-02T03:04:05+08:00")
    answer = await http.post("/v1/orders", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["ordered_at"] == "2026-01-01T19:04:05Z"
    assert answer.headers["content-type"] == "application/json"


async def test_every_broken_rule_is_named_with_its_field_and_value(http: httpx.AsyncClient) -> None:
    body = order(lines=[{"product_id": "x", "quantity": -3, "price": 1}], channel="fax")
    assert await errors(http, body) == {
        "lines.0.product_id": ("uuid_parsing", "x"),
        "lines.0.quantity": ("greater_than_equal", -3),
        "lines.0.price": ("extra_forbidden", 1),
        "channel": ("enum", "fax"),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gift", "true"),
        ("gift", 1),
        ("paid_minor", "5"),
        ("paid_minor", 5.0),
        ("paid_minor", True),
        ("paid_minor", -1),
        ("paid_minor", 10**15 + 1),
        ("paid_minor", 10**400),
        ("note", 5),
        ("note", "   "),
        ("note", "a\x00b"),
        ("note", "a\nb"),
        ("note", "\u200b\u200b"),
        ("note", "x" * 201),
        ("ordered_at", 1_700_000_000),
        ("ordered_at", "1700000000"),
        ("ordered_at", "2026-01-02"),
        ("ordered_at", "2026-01-02T03:04:05"),
        ("ordered_at", "1899-12-31T23:59:59Z"),
        ("ordered_at", "2200-01-01T00:00:00Z"),
        ("ordered_at", "0001-01-01T00:00:00+14:00"),
        ("ordered_at", "9999-12-31T23:59:59-14:00"),
        ("ordered_at", "2026-02-30T00:00:00Z"),
        ("ordered_at", {}),
        ("lines", []),
        ("lines", {}),
        ("lines", None),
        ("customer_id", None),
        ("customer_id", 7),
        ("unknown", "x"),
    ],
)
async def test_nothing_is_coerced_and_no_range_left(http: httpx.AsyncClient, field: str, value: Any) -> None:
    assert list(await errors(http, order(**{field: value}))) == [field]


async def test_a_missing_field_is_named_and_the_rest_of_the_body_not_repeated(
    http: httpx.AsyncClient,
) -> None:
    assert await errors(http, {"lines": order()["lines"]}) == {"customer_id": ("missing", None)}


async def test_surrounding_spaces_of_a_name_are_dropped_and_any_script_is_kept(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/v1/orders", json=order(note="  王小明 👩‍👩‍👧 "))
    assert answer.json()["note"] == "王小明 👩‍👩‍👧"


async def test_a_long_offending_value_is_shortened(http: httpx.AsyncClient) -> None:
    found = await errors(http, order(note="x" * 5000, channel=["y" * 5000]))
    assert all(len(str(value)) <= 101 for _, value in found.values())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": }', "line 1 column 7"),
        (b'{"customer_id": "\\ud800"}', "lone surrogate"),
        (b'{"customer_id": "\\ud800x"}', "lone surrogate"),
        (b'{"customer_id": "\\udc00"}', "lone surrogate"),
        (b'{"customer_id": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"customer_id": "\xff"}', "UTF-8"),
        ('{"customer_id": "x"}'.encode("utf-16"), ""),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 50_000, "nested too deeply"),
        (b'{"paid_minor": ' + b"9" * 5000 + b"}", ""),
        (b"{} {}", ""),
        (b"nul", ""),
        (b"\x00", ""),
    ],
)
async def test_a_body_that_is_not_json_is_refused_with_the_place(
    http: httpx.AsyncClient, body: bytes, said: str
) -> None:
    answer = await http.post("/v1/orders", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:patron:problem:malformed-json")
    assert said in answer.json()["detail"]
    assert answer.json()["line"] >= 1


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null", b"NaN", b"1e999"])
async def test_json_that_is_no_object_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/orders", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert "detail" in answer.json()


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
async def test_numbers_that_are_none_are_refused(http: httpx.AsyncClient, literal: bytes) -> None:
    body = json.dumps(order(weight=0)).encode().replace(b'"weight": 0', b'"weight": ' + literal)
    answer = await http.post("/v1/orders", content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "weight"


async def test_a_missing_body_is_asked_for(http: httpx.AsyncClient) -> None:
    for headers in (JSON, {}):
        answer = await http.post("/v1/orders", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:patron:problem:malformed")
        assert "has no body" in answer.json()["detail"]


async def test_a_body_that_may_be_left_out_may_be_left_out(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/orders/1/cancel")).json()["note"] is None
    assert (await http.post("/v1/orders/1/cancel", json={"reason": "late"})).json()["note"] == "late"
    assert (await http.post("/v1/orders/1/cancel", json={"reason": ""})).status_code == 422


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_a_body_of_another_kind_is_refused(http: httpx.AsyncClient, kind: str) -> None:
    answer = await http.post("/v1/orders", content=b"{}", headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:patron:problem:unsupported-media-type")
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"]
)
async def test_json_is_recognised_however_it_is_called(http: httpx.AsyncClient, kind: str) -> None:
    content = json.dumps(order()).encode()
    assert (await http.post("/v1/orders", content=content, headers={"Content-Type": kind})).status_code == 201


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_a_mebibyte_is_refused_before_it_is_read(
    http: httpx.AsyncClient, announced: bool
) -> None:
    sent = 0

    async def ten_mebibytes() -> Any:
        nonlocal sent
        for _ in range(160):
            sent += 1
            yield b" " * 65536

    headers = JSON | ({"Content-Length": str(160 * 65536)} if announced else {})
    answer = await http.post("/v1/orders", content=ten_mebibytes(), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:patron:problem:too-large")
    assert sent <= (0 if announced else 18)


async def test_a_body_of_exactly_a_mebibyte_is_read(http: httpx.AsyncClient) -> None:
    content = json.dumps(order()).encode().ljust(1024 * 1024)
    assert (await http.post("/v1/orders", content=content, headers=JSON)).status_code == 201


async def test_import_routes_stream_bodies_of_any_size(api: FastAPI) -> None:
    async with client(api, "manager") as http:
        answer = await http.post("/v1/imports/orders", content=b"x" * 3_000_000)
    assert answer.json() == {"bytes": 3_000_000}


async def test_a_caller_who_may_not_write_learns_that_before_the_faults_of_the_body(api: FastAPI) -> None:
    async with client(api, "analyst") as http:
        assert (await http.post("/v1/orders", content=b"{", headers=JSON)).status_code == 403


async def test_query_and_path_are_checked_as_strictly(http: httpx.AsyncClient) -> None:
    for query, field in {
        "custmer_id=1": "custmer_id",
        "customer_id=1": "customer_id",
        "limit=0": "limit",
        "limit=201": "limit",
        "sort=name": "sort",
        "note=%00": "note",
        "channel=fax": "channel.0",
        "since=1700000000": "since",
        "since=2026-01-01": "since",
    }.items():
        answer = await http.get(f"/v1/orders?{query}")
        assert answer.status_code == 422, query
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await http.get("/v1/orders?channel=web&channel=store")).status_code == 200
    assert (await http.get("/v1/orders/99999999999999999999")).status_code == 422
    assert (await http.get("/v1/orders/one")).json()["errors"][0]["field"] == "order_id"
