"""Transactions whose connection is taken away."""

from contextlib import AsyncExitStack

import asyncpg
import pytest

from shared import db as database
from shared.bus.retry import is_transient
from shared.db import Database


@pytest.mark.parametrize("how", ["terminated by an administrator", "idle for too long"])
async def test_a_transaction_whose_session_was_ended_says_so_and_its_connection_is_not_used_again(
    db: Database, how: str
) -> None:
    with pytest.raises(asyncpg.PostgresError) as raised:
        async with db.tx() as tx:
            victim = await tx.fetchval("SELECT pg_backend_pid()")
            if how == "idle for too long":
                await tx.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            async with db.read() as other:
                if how == "terminated by an administrator":
                    await other.execute("SELECT pg_terminate_backend($1)", victim)
                gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)"
                while not await other.fetchval(gone, victim):
                    pass
            await tx.execute("SELECT 1")
    assert is_transient(raised.value)
    async with db.tx() as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") != victim


async def test_who_waits_for_a_connection_too_long_hears_so(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.2)
    async with AsyncExitStack() as all_of_them:
        with pytest.raises(TimeoutError) as raised:
            while True:
                await all_of_them.enter_async_context(db.read())
        assert is_transient(raised.value)
    async with db.read() as connection:
        assert await connection.fetchval("SELECT 1") == 1
