"""What every request passes, pure ASGI: a trace of its own, a limit on its body, a count of its answer."""

from time import perf_counter
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Failed, TooLarge
from shared.telemetry import OpenSpan, open_span, parse_traceparent
from shared.web.problems import answer_problem

MOST_BODY_BYTES = 1024 * 1024
"""The largest body of an ordinary route."""

STREAMING_PREFIX = "/v1/imports"
"""Routes under it read their body as a stream, of any size."""

REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "Requests answered, and how long it took, by route.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ABORTED = 499
_OWN_ROUTES = frozenset({"/health/live", "/health/ready", "/metrics"})

log = structlog.stdlib.get_logger(__name__)


class Observed:
    """Gives each request its trace, answers what nobody else answered, and counts.

    `Trace-Id` and `traceparent` go out with every answer; a failure inside is logged and answered 500
    without telling what failed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._children: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        span = open_span(scope["method"], parse_traceparent(_header(scope, b"traceparent")), SpanKind.SERVER)
        named = (
            (b"trace-id", span.context.trace_id.encode()),
            (b"traceparent", span.context.traceparent.encode()),
        )
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *named]
            await send(message)

        error: BaseException | None = None
        try:
            await self._app(scope, receive, send_named)
        except ClientDisconnect:
            status = status or _ABORTED
        except Exception as failure:
            error = failure
            log.exception("request failed", method=scope["method"], route=_route(scope))
            if status:
                raise  # the answer has begun: all we can do is break it off
            refused = Failed("A defect of the server; it was logged under the trace id of this answer.")
            await answer_problem(refused)(scope, receive, send_named)
        except BaseException as stopped:
            error = stopped
            status = status or _ABORTED
            raise
        finally:
            self._close(scope, span, status or 500, perf_counter() - began, error)

    def _close(
        self, scope: Scope, span: OpenSpan, status: int, seconds: float, error: BaseException | None
    ) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = REQUESTS.labels(method, route, str(status))
        child.observe(seconds)
        if span.recorded:
            span.rename(f"{method} {route}")
            span.close(
                error=error or ("server error" if status >= 500 else None),
                attributes={
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": status,
                    "url.path": scope["path"],
                },
            )
        else:
            span.close()


class BodyLimit:
    """Refuses bodies over `MOST_BODY_BYTES` without reading them to the end, except on streaming routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(STREAMING_PREFIX):
            await self._app(scope, receive, send)
            return
        length = _header(scope, b"content-length")
        if length is not None:
            # The server holds the client to the length it announced.
            if not length.isdigit() or len(length) > 15 or int(length) > MOST_BODY_BYTES:
                await answer_problem(_too_large())(scope, receive, send)
                return
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BODY_BYTES:
                raise _too_large()
            return message

        await self._app(scope, counted, send)


def _too_large() -> TooLarge:
    return TooLarge(
        f"A body may have {MOST_BODY_BYTES} bytes; send less at a time, or use the import routes.",
        headers={"Connection": "close"},
        limit_bytes=MOST_BODY_BYTES,
    )


def _header(scope: Scope, name: bytes) -> str | None:
    for given, value in scope["headers"]:
        if given == name:
            return str(value, "latin-1")
    return None


def _route(scope: Scope) -> str:
    """The template of the route that answered: a path with ids in it would make a series per customer."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    return scope["path"] if scope["path"] in _OWN_ROUTES else "unmatched"
