"""HTTP between services: the few questions that cannot wait for an event."""

from pathlib import Path

import httpx

from shared.telemetry import current_traceparent

TIMEOUT_SECONDS = 2.0


def client(token_file: Path | None) -> httpx.AsyncClient:
    """A client that shows this service's token and carries the trace on."""

    async def sign(request: httpx.Request) -> None:
        if token_file is not None:
            request.headers["Authorization"] = f"Bearer {token_file.read_text().strip()}"  # noqa: ASYNC240  (a line, from memory)
        traceparent = current_traceparent()
        if traceparent:
            request.headers["traceparent"] = traceparent

    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, event_hooks={"request": [sign]})
