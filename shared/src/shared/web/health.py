"""Is this process alive, and can it do its work? And what it has counted."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from fastapi import Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.db import Database
from shared.errors import Unavailable

ReadyCheck = Callable[[], Awaitable[None]]
"""Raises `Unavailable` with what is missing."""

_PATIENCE_SECONDS = 3

log = structlog.stdlib.get_logger(__name__)


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "live"})


async def _ready(request: Request) -> Response:
    db: Database = request.app.state.db
    looking = asyncio.create_task(_is_migrated(db))
    # Not asyncio.timeout: a statement that is cancelled waits for a frozen server to say so.
    await asyncio.wait({looking}, timeout=_PATIENCE_SECONDS)
    error = TimeoutError("no answer") if looking.cancel() else looking.exception()
    if error is not None:
        log.warning("not ready", error=type(error).__name__, reason=str(error))
        raise Unavailable(
            "The database cannot be reached; see the log.", headers={"Retry-After": "1"}
        ) from error
    if not looking.result():
        raise Unavailable("The database is not migrated; run the service's migrate command.")
    check: ReadyCheck | None = getattr(request.app.state, "ready", None)
    if check is not None:
        await check()
    return JSONResponse({"status": "ready"})


async def _is_migrated(db: Database) -> bool:
    async with db.read() as tx:
        found: bool = await tx.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
    return found


async def _metrics(_request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def health_routes() -> list[Route]:
    """`/health/live`, `/health/ready` and `/metrics`; for machines, so not in the API's description."""
    return [
        Route("/health/live", _live, include_in_schema=False),
        Route("/health/ready", _ready, include_in_schema=False),
        Route("/metrics", _metrics, include_in_schema=False),
    ]
