"""All of scoring again from the log: beside the live one, compared, and what differs mended."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from scoring.facts.domain import EMPTY, encode
from scoring.rebuilding import mending, shadow
from scoring.rebuilding.store import alone, ask, note
from scoring.rebuilding.tables import RebuildRun
from shared.testing.http import web_environment
from shared.testing.waiting import until
from stack.ports import free
from tests.service.scoring.conftest import (
    NOW,
    Scoring,
    placed,
)
from tests.service.scoring.rebuilds import DAY, consuming, counted, interrupted, lives, publish, rebuilt

pytestmark = pytest.mark.usefixtures("replayed")


WHAT_THE_LOG_TELLS = """
SELECT jsonb_agg(told ORDER BY told) FROM (
    SELECT to_jsonb(f) AS told FROM customer_fact f WHERE customer_id = ANY($1)
    UNION ALL SELECT to_jsonb(f) FROM purchase_fact f WHERE customer_id = ANY($1)
    UNION ALL SELECT to_jsonb(f) FROM complaint_fact f WHERE customer_id = ANY($1)
    UNION ALL SELECT to_jsonb(s) - '{due_at, restated_from}'::text[] FROM customer_state s
    WHERE customer_id = ANY($1)
    UNION ALL SELECT to_jsonb(p) FROM stream_progress p WHERE key = ANY($1::uuid[]::text[])
) all_of_it
"""

# As bugs would have left them.
A_WRONG_AMOUNT = "UPDATE purchase_fact SET amount_minor = 1 WHERE customer_id = $1"
ANOTHERS_STATE = """
UPDATE customer_state SET state = (SELECT state FROM customer_state WHERE customer_id <> $1 LIMIT 1)
WHERE customer_id = $1
"""
NO_CURRENT_VERSION = "UPDATE complaint_fact SET known_until = now() WHERE customer_id = $1 AND version = 2"
AN_UNKNOWN_EVENT = "UPDATE purchase_fact SET event_id = gen_random_uuid() WHERE customer_id = $1"
ONE_TOO_MANY = """
INSERT INTO purchase_fact (order_id, customer_id, version, event_id, ordered_at, amount_minor,
                           list_amount_minor, counts, seq, at)
VALUES (gen_random_uuid(), $1, 1, gen_random_uuid(), now(), 1, 1, true, 9, now())
"""
SOMEBODYS_STATE = "INSERT INTO customer_state SELECT $1, state FROM customer_state LIMIT 1"
FORGOTTEN = (
    "DELETE FROM customer_fact WHERE customer_id = $1",
    "DELETE FROM purchase_fact WHERE customer_id = $1",
    "DELETE FROM customer_state WHERE customer_id = $1",
    "DELETE FROM stream_progress WHERE key = $1::uuid::text",
)


async def test_a_rebuild_mends_what_went_wrong_and_leaves_the_rest(scoring: Scoring) -> None:
    customers = [uuid4() for _ in range(12)]
    await publish(scoring, lives(scoring, customers))
    newcomer = uuid4()
    async with consuming(scoring):
        await until(lambda: _all(scoring, customers, 5))
        before = await scoring.value(WHAT_THE_LOG_TELLS, customers)
        async with scoring.db.tx() as tx:
            await tx.execute("UPDATE customer_state SET due_at = NULL, restated_from = NULL")
            for statement, who in zip(
                (A_WRONG_AMOUNT, ANOTHERS_STATE, AN_UNKNOWN_EVENT, ONE_TOO_MANY, NO_CURRENT_VERSION),
                customers,
                strict=False,
            ):
                await tx.execute(statement, who)
        run = await rebuilt(scoring)
        assert (run.phase, run.different, run.kept) == ("done", 1, 0)
        assert run.events_done == run.events_total > 0
        await publish(scoring, lives(scoring, [newcomer]))
        await until(lambda: counted(scoring, newcomer, 5))  # live traffic goes on
    assert await scoring.value(WHAT_THE_LOG_TELLS, customers) == before
    assert await scoring.states_are_their_facts()
    news = "SELECT array_agg(customer_id) FROM customer_state WHERE customer_id = ANY($1) AND {} IS NOT NULL"
    assert await scoring.value(news.format("restated_from"), customers) == [customers[1]]
    assert await scoring.value(news.format("due_at"), customers) == [customers[1]]


async def _all(scoring: Scoring, customers: Sequence[UUID], orders: int) -> bool:
    return all([await counted(scoring, who, orders) for who in customers])


async def test_a_rebuild_brings_back_what_was_lost(scoring: Scoring) -> None:
    customers = [uuid4() for _ in range(3)]
    await publish(scoring, lives(scoring, customers))
    async with consuming(scoring):
        await until(lambda: _all(scoring, customers, 5))
        before = await scoring.value(WHAT_THE_LOG_TELLS, customers[1:])
        async with scoring.db.tx() as tx:
            for statement in FORGOTTEN:
                await tx.execute(statement, customers[0])
        run = await rebuilt(scoring)
        assert (run.phase, run.different, run.kept) == ("done", 1, 0)
        await publish(scoring, scoring.incoming(placed(customers[0], NOW)))
        await until(lambda: counted(scoring, customers[0], 6))
    assert await scoring.states_are_their_facts()
    assert await scoring.value(WHAT_THE_LOG_TELLS, customers[1:]) == before
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", customers[0]) == 6
    due = "SELECT due_at <= now() FROM customer_state WHERE customer_id = $1"
    assert await scoring.value(due, customers[0])


async def test_events_that_come_while_it_mends_are_counted_once(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "BATCH", 1)
    customers = [uuid4() for _ in range(20)]
    await publish(scoring, lives(scoring, customers))
    async with consuming(scoring):
        await until(lambda: _all(scoring, customers, 5))
        async with scoring.db.tx() as tx:
            await tx.execute("UPDATE customer_state SET state = $1", encode(EMPTY))

        async def go_on_buying() -> None:
            for hours in range(8):
                told = [placed(who, NOW + timedelta(hours=hours)) for who in customers]
                await publish(scoring, scoring.incoming(*told))

        (run, _) = await asyncio.gather(rebuilt(scoring), go_on_buying())
        assert run.phase == "done"
        await until(lambda: _all(scoring, customers, 13))
        again = await rebuilt(scoring)
    assert (again.different, again.kept) == (0, 0)
    assert await scoring.states_are_their_facts()


async def test_what_the_live_side_has_still_to_count_is_news_after_a_rebuild_too(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = [uuid4() for _ in range(3)]
    await publish(scoring, lives(scoring, customers))
    async with consuming(scoring):
        await until(lambda: _all(scoring, customers, 5))
    wrong, behind = customers[:2]
    await publish(scoring, scoring.incoming(placed(behind, NOW - 200 * DAY)))  # late, and not counted live
    async with scoring.db.tx() as tx:
        await tx.execute(ANOTHERS_STATE, wrong)
    looks, mend = [], mending.mend

    async def looked(*given: Any) -> mending.Mended | None:
        looks.append(await mend(*given))
        return looks[-1]

    monkeypatch.setattr(mending, "mend", looked)
    rebuilding = asyncio.create_task(rebuilt(scoring))

    async def looked_twice_at_whom_the_live_side_lacks() -> bool:
        return looks.count(None) >= 2

    await until(looked_twice_at_whom_the_live_side_lacks)
    assert not rebuilding.done()
    assert await counted(scoring, behind, 5)
    async with consuming(scoring):
        run = await rebuilding
    assert (run.phase, run.different, run.kept) == ("done", 1, 0)
    restated = "SELECT customer_id FROM customer_state WHERE restated_from IS NOT NULL ORDER BY customer_id"
    async with scoring.db.read() as tx:
        assert [r[0] for r in await tx.fetch(restated)] == sorted([wrong, behind])
    assert await counted(scoring, behind, 6)
    assert await scoring.states_are_their_facts()


async def test_whom_the_log_does_not_know_has_bought_nothing(scoring: Scoring) -> None:
    known, invented = uuid4(), uuid4()
    await publish(scoring, lives(scoring, [known]))
    async with consuming(scoring):
        await until(lambda: counted(scoring, known, 5))
        async with scoring.db.tx() as tx:
            await tx.execute(ONE_TOO_MANY, invented)
            await tx.execute(SOMEBODYS_STATE, invented)
        first, second = await rebuilt(scoring), await rebuilt(scoring)
    assert (first.different, second.different) == (1, 0)
    assert await scoring.states_are_their_facts()
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", invented) == 0


AS_IT_WAS: tuple[str, ...] = ()
AFTER_A_MIGRATION = ("ALTER TABLE customer_state ADD COLUMN shoe_size int",)
AFTER_A_CRASH_OF_POSTGRESQL = (
    "TRUNCATE rebuild.consumer_offset, rebuild.stream_progress, rebuild.customer_state,"
    " rebuild.customer_fact, rebuild.purchase_fact, rebuild.complaint_fact",
)


@pytest.mark.parametrize("meanwhile", [AS_IT_WAS, AFTER_A_MIGRATION, AFTER_A_CRASH_OF_POSTGRESQL])
async def test_an_interrupted_rebuild_is_finished_later(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch, meanwhile: Sequence[str]
) -> None:
    customers = [uuid4() for _ in range(6)]
    await publish(scoring, lives(scoring, customers))
    async with consuming(scoring):
        await until(lambda: _all(scoring, customers, 5))
        await interrupted(scoring, monkeypatch)
        assert await scoring.value("SELECT count(*) FROM rebuild_run WHERE phase = 'replaying'") == 1
        assert await scoring.value("SELECT count(*) FROM rebuild.customer_state") >= 6
        async with scoring.db.tx() as tx:
            for statement in meanwhile:
                await tx.execute(statement)
        run = await rebuilt(scoring)
    assert (run.phase, run.different, run.kept) == ("done", 0, 0)
    assert await scoring.value("SELECT count(*) FROM rebuild_run") == 1
    assert await scoring.value("SELECT to_regnamespace('rebuild') IS NULL")
    assert await scoring.states_are_their_facts()


@asynccontextmanager
async def worker(scoring: Scoring) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker of its own process, killed in the end."""
    environment = web_environment() | {
        "DATABASE_URL": scoring.settings.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": scoring.settings.kafka_bootstrap_servers,
        "PATH": os.defpath,
    }
    (port,) = free(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scoring", "worker", "--port", str(port), env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def begun(scoring: Scoring) -> RebuildRun:
    """A rebuild that has counted nothing yet."""
    async with scoring.db.tx() as tx:
        await shadow.create(tx, anew=True)
        run = await ask(tx, "ann", NOW)
        await note(tx, run.id, 0, 0, 0)
    return run


async def held_up(scoring: Scoring, who: UUID) -> asyncpg.Connection:
    """A transaction that is never committed, behind which the replay cannot pass this customer."""
    in_the_way = await asyncpg.connect(scoring.settings.database_url)
    await in_the_way.execute("BEGIN")
    await in_the_way.execute(
        "INSERT INTO rebuild.stream_progress (topic, key, last_seq) VALUES ('patron.orders', $1, 0)", str(who)
    )
    return in_the_way


async def test_a_rebuild_goes_on_where_it_was_when_its_process_was_killed(scoring: Scoring) -> None:
    customers = [uuid4() for _ in range(40)]
    await publish(scoring, lives(scoring, customers))

    async def halfway() -> bool:
        async with scoring.db.tx() as tx:
            total, done = await shadow.progress(tx)
        return 0 < done < total

    async with worker(scoring) as process:
        await until(lambda: _all(scoring, customers, 5))
        mine = False
        while not mine:  # or the worker would clear away what belongs to no rebuild
            async with alone(scoring.db) as mine:
                if mine:
                    run = await begun(scoring)
                    in_the_way = await held_up(scoring, customers[0])
        await until(halfway)
        process.kill()
        await process.wait()
        assert await halfway()
        await in_the_way.close()
    found = await rebuilt(scoring)
    assert (found.id, found.different, found.kept) == (run.id, 0, 0)
    assert await scoring.states_are_their_facts()


async def test_a_rebuild_that_changes_nothing_has_nobody_scored_anew(scoring: Scoring) -> None:
    customers = [uuid4() for _ in range(6)]
    await publish(scoring, lives(scoring, customers))
    async with consuming(scoring):
        await until(lambda: _all(scoring, customers, 5))
        scoring.clock.advance(datetime.now(UTC) - scoring.clock.now())
        while await scoring.look():
            pass
        due = "SELECT array_agg(due_at ORDER BY customer_id) FROM customer_state"
        before = await scoring.value(due)
        await rebuilt(scoring)
    assert await scoring.value(due) == before
    assert await scoring.look() == 0


async def test_what_a_person_decided_of_an_event_is_kept(scoring: Scoring) -> None:
    who, other = uuid4(), uuid4()
    told = scoring.incoming(placed(who, NOW - 9 * DAY), placed(who, NOW - 8 * DAY), placed(other, NOW))
    told[0].value = b"{}"  # cannot be applied; somebody discards it
    await publish(scoring, told)
    async with consuming(scoring):
        admin = await scoring.caller("administrator")

        async def both_parked() -> bool:  # the one that cannot be applied, and the one behind it
            return len((await admin.get("/v1/parked", params={"key": str(who)})).json()["items"]) == 2

        await until(both_parked)
        await until(lambda: counted(scoring, other, 1))
        (parked, _) = (await admin.get("/v1/parked", params={"key": str(who)})).json()["items"]
        answer = await admin.post(f"/v1/parked/{parked['id']}/discard", json={"reason": "a test"})
        assert answer.status_code == 200, answer.text
        assert await counted(scoring, who, 2)
        run = await rebuilt(scoring)
    assert (run.different, run.kept) == (0, 1)
    assert await counted(scoring, who, 2)
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", who) == 1
    assert await scoring.states_are_their_facts()
