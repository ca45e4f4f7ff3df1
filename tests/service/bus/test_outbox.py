"""Events are published with the change they tell of, gapless per key, and never without it."""

import asyncio
from collections import defaultdict
from datetime import timedelta

import asyncpg
import msgspec
import pytest

from shared.bus.outbox import emit, keep_partitions, list_after
from shared.db import Database
from shared.migrations import SHARED_TABLES_V1, UNSENT_APART
from tests.service.bus.conftest import NOW, Counted, count


async def test_each_key_has_its_own_gapless_sequence(db: Database) -> None:
    async with db.tx() as tx:
        first = await emit(tx, *(Counted(thing=t, amount=1) for t in "abab"), at=NOW)
        second = await emit(tx, Counted(thing="a", amount=2), at=NOW)
    assert [(e.key, e.seq) for e in first + second] == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)]


async def test_a_rollback_leaves_no_gap(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.tx() as tx:
            await emit(tx, Counted(thing="a", amount=1), at=NOW)
            raise ZeroDivisionError
    assert await count(db, "outbox") == 0
    async with db.tx() as tx:
        assert (await emit(tx, Counted(thing="a", amount=1), at=NOW))[0].seq == 1


async def test_writers_at_once_get_sequences_in_the_order_of_their_commits(db: Database) -> None:
    async def write(amount: int) -> None:
        async with db.tx() as tx:
            things = ["x", "y"] if amount % 2 else ["y", "x"]
            await emit(tx, *(Counted(thing=t, amount=amount) for t in things), at=NOW)

    await asyncio.gather(*(write(n) for n in range(60)))
    async with db.read() as connection:
        rows = await connection.fetch("SELECT key, seq, id FROM outbox ORDER BY id")
    by_key = defaultdict(list)
    for row in rows:
        by_key[row["key"]].append(row["seq"])
    assert by_key == {"x": list(range(1, 61)), "y": list(range(1, 61))}


async def test_an_event_that_breaks_its_own_contract_is_not_published(db: Database) -> None:
    with pytest.raises(msgspec.ValidationError, match="amount"):
        async with db.tx() as tx:
            await emit(tx, Counted(thing="a", amount="many"), at=NOW)  # type: ignore[arg-type]
    assert await count(db, "outbox") == 0


async def test_what_was_published_of_a_key_can_be_read_again(db: Database) -> None:
    async with db.tx() as tx:
        await emit(tx, *(Counted(thing="a", amount=n) for n in (10, 20, 30)), at=NOW)
    async with db.read() as connection:
        found = await list_after(connection, Counted.topic, "a", 1, limit=10)
    assert [(p.seq, msgspec.json.decode(p.payload)["amount"]) for p in found] == [(2, 20), (3, 30)]
    assert found[0].headers["ce_type"] == "lab.counted.v1"
    assert found[0].headers["ce_time"] == NOW.isoformat()


async def test_partitions_are_made_ahead_and_dropped_only_when_wholly_sent(db: Database) -> None:
    async with db.tx() as tx:
        await keep_partitions(tx)
        today = await tx.fetchval("SELECT (now() AT TIME ZONE 'utc')::date")
        for days, sent in ((20, True), (30, False)):
            day = today - timedelta(days=days)
            name = f"outbox_{day:%Y_%m_%d}"
            await tx.execute(
                f"CREATE TABLE {name} PARTITION OF outbox"
                f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
            )
            await tx.execute(
                "WITH kept AS (INSERT INTO outbox (day, topic, key, seq, event_id, type, at, payload)"
                " VALUES ($1, 't', 'k', $2, gen_random_uuid(), 'x.y.v1', now(), '') RETURNING id, day)"
                " INSERT INTO outbox_unsent SELECT id, day FROM kept WHERE NOT $3",
                day, days, sent,
            )  # fmt: skip
        await keep_partitions(tx)
        names = {r["t"] for r in await tx.fetch("SELECT inhrelid::regclass::text AS t FROM pg_inherits")}
    assert f"outbox_{today + timedelta(days=7):%Y_%m_%d}" in names
    assert f"outbox_{today - timedelta(days=20):%Y_%m_%d}" not in names
    assert f"outbox_{today - timedelta(days=30):%Y_%m_%d}" in names, "an unsent event was thrown away"


async def test_what_was_unsent_before_the_queue_had_its_table_is_still_sent(db: Database) -> None:
    publish = (
        "INSERT INTO former.outbox (topic, key, seq, event_id, type, at, payload{}) VALUES"
        " ('t', 'k', $1, gen_random_uuid(), 'x.y.v1', now(), ''{})"
    )
    async with db.tx() as tx:
        await tx.execute("CREATE SCHEMA former; SET LOCAL search_path = former")
        await tx.execute(SHARED_TABLES_V1)
        await tx.execute(publish.format(", sent_at", ", now()"), 1)
        await tx.execute(publish.format("", ""), 2)
        await tx.execute(UNSENT_APART)
        unsent = await tx.fetch("SELECT seq FROM outbox JOIN outbox_unsent USING (id, day)")
        assert [r["seq"] for r in unsent] == [2]
        with pytest.raises(asyncpg.NotNullViolationError):  # an older process, which would not queue it
            await tx.execute(publish.format("", ""), 3)
