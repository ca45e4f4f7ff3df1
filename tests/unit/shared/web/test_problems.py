"""Refusals: problem documents that any reader takes, with a trace id on every answer."""

import json
import logging
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from shared.errors import Conflict, Refused
from shared.testing.http import client
from shared.web.problems import plain, problem


def _check(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said["type"] == f"urn:patron:problem:{kind}"
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    assert said["instance"] == f"urn:patron:trace:{answer.headers['trace-id']}"
    return said


async def test_a_path_without_a_route_is_a_problem_too(http: httpx.AsyncClient) -> None:
    assert "/v1/nothing" in _check(await http.get("/v1/nothing"), 404, "not-found")["detail"]


async def test_a_wrong_method_says_which_are_right(http: httpx.AsyncClient) -> None:
    answer = await http.put("/v1/orders/1/cancel")
    assert "POST" in _check(answer, 405, "method-not-allowed")["detail"]
    assert answer.headers["allow"] == "POST"


async def test_no_value_is_too_strange_to_be_shown(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/orders/strange")
    said = _check(answer, 422, "invalid")
    answer.text.encode("utf-8")
    assert [error["value"] for error in said["errors"]] == [
        "\\ud800",
        "nan",
        "<integer of 16610 bits>",
        "<1 bytes>",
        '{"a": "\\\\udfff"}',
        "<object>",
        "x" * 100 + "…",
    ]
    assert json.dumps(said, allow_nan=False)


async def test_a_defect_is_logged_and_not_shown(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await http.post("/v1/orders/broken")
    _check(answer, 500, "internal-error")
    assert "secret" not in answer.text


async def test_a_trace_given_is_continued_and_a_malformed_one_replaced(http: httpx.AsyncClient) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    answer = await http.get("/v1/orders/1", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert answer.headers["trace-id"] == trace_id
    version, same, span_id, flags = answer.headers["traceparent"].split("-")
    assert (version, same, flags) == ("00", trace_id, "01")
    assert span_id != "b7ad6b7169203331"
    for wrong in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", "x", "ff-" + trace_id + "-b7ad6b7169203331-01"):
        answer = await http.get("/health/live", headers={"traceparent": wrong})
        assert len(answer.headers["trace-id"]) == 32
        assert answer.headers["trace-id"] not in (trace_id, "0" * 32)


def test_extra_members_and_headers_travel_with_a_refusal() -> None:
    refused = Conflict("already cancelled", cancelled_at="2026-03-01", headers={"Retry-After": "1"})
    assert problem(refused)["cancelled_at"] == "2026-03-01"
    assert refused.headers == {"Retry-After": "1"}
    assert isinstance(refused, Refused)


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError("no"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.CannotConnectNowError("starting"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
async def test_a_database_that_is_away_is_said_to_be_with_when_to_try_again(
    api: FastAPI, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    answer = await _failing_with(api, monkeypatch, failure)
    _check(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_an_error_of_ours_in_talking_to_the_database_is_a_defect(
    api: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = asyncpg.InterfaceError("another operation is in progress")
    _check(await _failing_with(api, monkeypatch, failure), 500, "internal-error")


async def test_text_that_the_database_cannot_store_is_the_callers_fault(
    api: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = asyncpg.CharacterNotInRepertoireError("invalid byte sequence")
    _check(await _failing_with(api, monkeypatch, failure), 422, "invalid")


async def _failing_with(api: FastAPI, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> httpx.Response:
    async with client(api) as http:

        async def fail(_authorization: str | None) -> None:
            raise failure

        monkeypatch.setattr(api.state.auth, "caller", fail)
        return await http.get("/v1/orders")


async def test_requests_are_counted_by_route_and_not_by_path(http: httpx.AsyncClient) -> None:
    for order_id in (701, 702):
        await http.get(f"/v1/orders/{order_id}")
    await http.get("/v1/nothing/703")
    counted = (await http.get("/metrics")).text
    assert 'route="/v1/orders/{order_id}",status="200"' in counted
    assert 'route="unmatched",status="404"' in counted
    assert "/70" not in counted


async def test_the_description_has_problems_bearer_and_readable_names(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    operation = document["paths"]["/v1/orders"]["post"]
    assert operation["operationId"] == "place_order"
    assert operation["security"] == [{"bearer": []}]
    assert set(operation["responses"]) == {"201", "default"}
    assert "application/problem+json" in operation["responses"]["default"]["content"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/PlaceOrder")
    assert document["components"]["schemas"]["PlaceOrder"]["additionalProperties"] is False
    assert document["components"]["schemas"]["PlaceOrder"]["properties"]["ordered_at"]["anyOf"][0] == {
        "type": "string",
        "format": "date-time",
    }
    assert "HTTPValidationError" not in document["components"]["schemas"]
    names = {p["name"] for p in document["paths"]["/v1/orders/{order_id}"]["patch"]["parameters"]}
    assert names == {"order_id", "If-Match"}
    assert (await http.get("/docs")).status_code == 200


async def test_a_route_without_an_answer_sends_none(http: httpx.AsyncClient) -> None:
    answer = await http.delete("/v1/orders/1")
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_instant_is_shown_as_answers_write_it() -> None:
    assert plain(datetime(2026, 3, 1, 9, 30, tzinfo=UTC)) == "2026-03-01T09:30:00Z"
    assert plain(date(2026, 3, 1)) == "2026-03-01"
