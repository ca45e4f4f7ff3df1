"""Structured logs, traces and metrics: what a person on call reads.

Every process calls `start` once. Logs carry the trace id. Spans are exported only where an OTLP endpoint is
set (`OTEL_EXPORTER_OTLP_ENDPOINT`, sampled as `OTEL_TRACES_SAMPLER` says); the W3C trace context travels
along either way, so that logs of all processes can be joined. Metrics are those of `prometheus_client`.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from random import getrandbits
from typing import Literal, NamedTuple

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

LogFormat = Literal["json", "text"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class TraceContext(NamedTuple):
    """Where we are in a trace, as W3C Trace Context has it."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        """The header value that continues this trace elsewhere."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_here: ContextVar[TraceContext | None] = ContextVar("trace_context", default=None)
_tracer: trace.Tracer | None = None
_provider: TracerProvider | None = None


def start(service: str, log_format: LogFormat = "json") -> None:
    """Set up logging, and tracing where an exporter endpoint is set, for this process."""
    start_logging(log_format)
    _start_tracing(service)


def stop() -> None:
    """Send the spans still held."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def start_logging(log_format: LogFormat = "json") -> None:
    """One line per event on standard error: JSON, or text for a person."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_id,
    ]
    # Tracebacks without the values of variables: those may be personal data.
    without_values = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    render: list[structlog.typing.Processor] = (
        [structlog.processors.ExceptionRenderer(without_values), structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for chatty in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # With the broker away it writes tens of lines a second; what it raises, relay and consumer log.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _add_trace_id(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    here = _here.get()
    if here is not None:
        event["trace_id"] = here.trace_id
    return event


def _start_tracing(service: str) -> None:
    global _tracer, _provider
    if not (
        os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ):
        return
    _provider = TracerProvider(resource=Resource.create({"service.name": service}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("patron")


def parse_traceparent(header: str | None) -> TraceContext | None:
    """The trace a caller or a message belongs to; None for a missing or malformed header."""
    found = _TRACEPARENT.match(header) if header else None
    return TraceContext(*found.groups()) if found else None


def current_traceparent() -> str | None:
    """The header value with which what we call or publish continues the trace we are in."""
    here = _here.get()
    return here.traceparent if here else None


def current_trace_id() -> str | None:
    """The id of the trace we are in, as answers and logs carry it."""
    here = _here.get()
    return here.trace_id if here else None


class OpenSpan:
    """A span that the code between `open_span` and `close` runs in."""

    __slots__ = ("_span", "_token", "context")

    def __init__(self, context: TraceContext, span: Span | None) -> None:
        self.context = context
        self._span = span
        self._token: Token[TraceContext | None] = _here.set(context)

    @property
    def recorded(self) -> bool:
        """Whether somebody will read it."""
        return self._span is not None and self._span.is_recording()

    def rename(self, name: str) -> None:
        """Give it the name it has only now, such as the route that matched."""
        if self._span is not None:
            self._span.update_name(name)

    def close(
        self, *, error: BaseException | str | None = None, attributes: Mapping[str, str | int | float] = {}
    ) -> None:
        """Leave it."""
        _here.reset(self._token)
        if self._span is None:
            return
        self._span.set_attributes(attributes)
        if isinstance(error, BaseException):
            self._span.record_exception(error)
        if error is not None:
            self._span.set_status(StatusCode.ERROR, str(error))
        self._span.end()


def open_span(name: str, parent: TraceContext | None, kind: SpanKind = SpanKind.INTERNAL) -> OpenSpan:
    """Enter a span under `parent`, or a trace of its own without one."""
    if _tracer is None:
        trace_id = parent.trace_id if parent else f"{getrandbits(128) or 1:032x}"
        flags = parent.flags if parent else "00"
        return OpenSpan(TraceContext(trace_id, f"{getrandbits(64) or 1:016x}", flags), None)
    context = None
    if parent is not None:
        context = trace.set_span_in_context(NonRecordingSpan(_remote(parent)))
    span = _tracer.start_span(name, context, kind)
    now = span.get_span_context()
    return OpenSpan(
        TraceContext(f"{now.trace_id:032x}", f"{now.span_id:016x}", f"{now.trace_flags:02x}"), span
    )


def record_messages(
    name: str, kind: SpanKind, began: float, traceparents: Iterable[tuple[str | None, str]]
) -> None:
    """A span for each message of a batch worked on since `began`, in the trace that the message belongs to.

    `traceparents` pairs each message's with its wire name. Costs nothing where no traces are exported.
    """
    if _tracer is None:
        return
    for traceparent, wire_name in traceparents:
        parent = parse_traceparent(traceparent)
        if parent is None or not int(parent.flags, 16) & 1:
            continue  # not sampled where it began
        context = trace.set_span_in_context(NonRecordingSpan(_remote(parent)))
        started = _tracer.start_span(
            f"{name} {wire_name}", context, kind, start_time=int(began * 1_000_000_000)
        )
        started.end()


def _remote(parent: TraceContext) -> SpanContext:
    return SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), True, TraceFlags(int(parent.flags, 16))
    )
