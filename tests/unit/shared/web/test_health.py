"""Readiness, and who asks for it while the database is frozen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.testing import FixedClock
from shared.testing.http import client
from shared.web import health
from tests.unit.shared.web.conftest import build


class Frozen:
    """A database whose statements neither end nor can be cancelled, as asyncpg's on a stopped server."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        ended = asyncio.Event()
        try:
            await ended.wait()
        finally:
            await asyncio.wait_for(asyncio.shield(ended.wait()), timeout=3)
        yield


async def test_a_frozen_database_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.05)
    async with client(build(FixedClock(), db=Frozen())) as http, asyncio.timeout(2):
        answer = await http.get("/health/ready")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
