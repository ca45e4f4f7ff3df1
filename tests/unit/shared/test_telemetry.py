"""Logs that can be joined, traces that go on in the next process."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from shared import telemetry
from shared.telemetry import (
    current_trace_id,
    current_traceparent,
    open_span,
    parse_traceparent,
    record_messages,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    return exporter


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_span_continues_the_trace_it_is_given_and_is_left_again() -> None:
    assert current_traceparent() is None
    opened = open_span("request", parse_traceparent(PARENT))
    assert current_trace_id() == "0af7651916cd43dd8448eb211c80319c"
    assert current_traceparent() != PARENT
    opened.close()
    assert current_traceparent() is None


def test_each_message_of_a_batch_is_recorded_in_its_own_trace(exported: InMemorySpanExporter) -> None:
    other = PARENT.replace("0af76519", "1af76519")
    messages = [(PARENT, "orders.order_placed.v1"), (other, "orders.order_placed.v1"), (None, "x.y.v1")]
    record_messages("consume", SpanKind.CONSUMER, 1_700_000_000.0, messages)
    first, second = exported.get_finished_spans()
    assert first.name == "consume orders.order_placed.v1"
    assert first.parent is not None
    assert f"{first.parent.trace_id:032x}-{first.parent.span_id:016x}" in PARENT
    assert second.parent is not None
    assert f"{second.parent.trace_id:032x}" in other


def test_what_was_not_sampled_where_it_began_is_not_recorded(exported: InMemorySpanExporter) -> None:
    record_messages("consume", SpanKind.CONSUMER, 1_700_000_000.0, [(PARENT[:-2] + "00", "x.y.v1")])
    assert not exported.get_finished_spans()


async def test_a_request_is_recorded_by_its_route(exported: InMemorySpanExporter) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from shared.web.middleware import Observed

    async def read(_request: Request) -> Response:
        return Response(current_traceparent())

    app = Observed(Starlette(routes=[Route("/v1/orders/{id}", read)]))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"traceparent", PARENT.encode())]
    scope = {"type": "http", "method": "GET", "path": "/v1/orders/7", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    (recorded,) = exported.get_finished_spans()
    assert (recorded.attributes or {})["http.response.status_code"] == 200
    assert recorded.context is not None
    inside = sent[1]["body"].decode()
    assert inside == f"00-{recorded.context.trace_id:032x}-{recorded.context.span_id:016x}-01"
    assert dict(sent[0]["headers"])[b"traceparent"].decode() == inside


def test_no_exporter_means_no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    telemetry._start_tracing("orders")
    assert telemetry._tracer is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    telemetry._start_tracing("orders")
    assert telemetry._tracer is not None
    telemetry.stop()


@pytest.mark.usefixtures("logging_restored")
def test_lines_of_json_carry_the_trace_whoever_logged_them(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.start_logging("json")
    opened = open_span("request", parse_traceparent(PARENT))
    structlog.stdlib.get_logger("ours").info("order placed", order_id="7", odd="\ud800")
    logging.getLogger("theirs").warning("slow %s", "query")
    try:
        raise ValueError("secret")
    except ValueError:
        structlog.stdlib.get_logger("ours").exception("failed")
    opened.close()
    ours, theirs, failed = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert ours["event"] == "order placed"
    assert ours["order_id"] == "7"
    assert theirs["event"] == "slow query"
    assert {line["trace_id"] for line in (ours, theirs, failed)} == {"0af7651916cd43dd8448eb211c80319c"}
    assert failed["level"] == "error"
    assert failed["exception"][0]["exc_type"] == "ValueError"
    assert "locals" not in failed["exception"][0]["frames"][0], "values of variables may be personal data"


@pytest.mark.usefixtures("logging_restored")
def test_text_logs_are_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.start_logging("text")
    structlog.stdlib.get_logger("ours").info("order placed", order_id="7")
    line = capsys.readouterr().err
    assert "order placed" in line
    assert "order_id=7" in line
