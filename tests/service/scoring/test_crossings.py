"""Bands that begin by time alone: told on time, however many begin at once, each once whatever happens."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from scoring.bands import handlers, store
from scoring.bands.domain import Due, changes_of, score_all
from scoring.bands.handlers import keep_bands, tell_beginnings
from scoring.care import store as models
from scoring.care.domain import PUBLISHED
from scoring.facts.domain import DAY, WEEK, State, encode
from scoring.facts.reading import micros
from scoring.models.crossing import crossing
from scoring.serving.figures import customers_of
from shared.db import Database, Tx
from shared.events.scoring import ChurnBandChanged
from shared.testing.waiting import until
from tests.service.scoring.conftest import NOW, Scoring, opened, placed

SECOND = timedelta(seconds=1)
HORIZON = 90 / 7


def about_to_cross(at: datetime) -> State:
    """Somebody who is in no danger until then, and at that instant in the band that follows."""
    last = micros(at)
    state = State(purchases=19, days=19, first_at=last - 180 * DAY, last_at=last, repeat_minor=18_000)
    (weeks,) = crossing(customers_of([state], last), PUBLISHED.model, HORIZON, 0.40)
    moved = int(weeks * WEEK)
    return State(
        purchases=19, days=19, first_at=last - moved - 180 * DAY, last_at=last - moved, repeat_minor=18_000
    )  # fmt: skip


async def seed(db: Database, at: datetime, many: int) -> list[UUID]:
    """So many customers whose second band begins at that instant, and of whom the first was told."""
    ids, state = [uuid4() for _ in range(many)], encode(about_to_cross(at))
    async with db.tx() as tx:
        await tx.copy_records_to_table(
            "customer_state",
            columns=["customer_id", "state", "due_at", "begins_band"],
            records=[(who, state, at, True) for who in ids],
        )
        await tx.execute(
            "INSERT INTO customer_score (customer_id, churn, band, p_alive, expected_purchases, loyalty,"
            " value_minor, model_version, weights_version, scored_at)"
            " SELECT customer_id, 0.399, 'low', 0.7, 3, 50, 9000, 0, 1, $1 FROM customer_state",
            at - timedelta(hours=1),
        )
    return ids


async def regular(scoring: Scoring) -> tuple[UUID, datetime]:
    """Somebody who bought every ten days, and when their second band begins."""
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - timedelta(days=days)) for days in range(181, 0, -10)])
    await scoring.look()
    assert await scoring.value("SELECT begins_band FROM customer_state")
    return who, await scoring.value("SELECT due_at FROM customer_state")


async def beginnings(scoring: Scoring) -> list[ChurnBandChanged]:
    """What the next look at bands that begin tells."""
    before = len(await scoring.events())
    await tell_beginnings(scoring.db, scoring.clock, scoring.settings)
    return (await scoring.events())[before:]


async def test_a_band_is_told_when_it_begins_and_not_before_and_its_figures_follow(
    scoring: Scoring, only_bands: None
) -> None:
    _, begins = await regular(scoring)
    scoring.clock.advance(begins - SECOND - scoring.clock.now())
    assert await beginnings(scoring) == []
    scoring.clock.advance(SECOND)
    scored_at = await scoring.value("SELECT scored_at FROM customer_score")
    (told,) = await beginnings(scoring)
    assert (told.before, told.after, told.scored_at, told.orders_seq) == ("low", "medium", begins, 19)
    assert told.crossed_at is not None
    assert abs(told.crossed_at - begins) < SECOND
    assert told.churn_probability == pytest.approx(0.40, abs=1e-6)
    assert await scoring.value("SELECT scored_at FROM customer_score") == scored_at
    assert await beginnings(scoring) == []
    assert await scoring.look() == 1
    assert len(await scoring.events()) == 2, "told already"
    assert await scoring.value("SELECT scored_at FROM customer_score") == begins
    assert await scoring.value("SELECT due_at FROM customer_state") > begins


async def test_whoever_buys_before_their_next_band_begins_is_not_told_of(
    scoring: Scoring, only_bands: None
) -> None:
    who, begins = await regular(scoring)
    scoring.clock.advance(begins - scoring.clock.now() - timedelta(hours=1))
    await scoring.tell(placed(who, scoring.clock.now()))
    scoring.clock.advance(begins - scoring.clock.now() + SECOND)
    assert await beginnings(scoring) == []
    await scoring.look()
    assert len(await scoring.events()) == 1


async def test_whoever_buys_after_their_band_began_but_before_it_was_told_is_not_told_of(
    scoring: Scoring, only_bands: None
) -> None:
    who, begins = await regular(scoring)
    scoring.clock.advance(begins - scoring.clock.now() + SECOND)
    await scoring.tell(placed(who, scoring.clock.now()))
    assert await beginnings(scoring) == []


async def test_a_band_that_what_happened_began_is_told_as_such(scoring: Scoring, only_bands: None) -> None:
    who, begins = await regular(scoring)
    scoring.clock.advance(begins - scoring.clock.now() - timedelta(minutes=1))
    await scoring.tell(opened(who, scoring.clock.now(), severity="critical"))
    scoring.clock.advance(timedelta(minutes=1))
    (told,) = await beginnings(scoring)
    assert (told.after, told.crossed_at, told.service_desk_seq) == ("medium", None, 1)


async def test_thousands_of_bands_that_begin_at_one_instant_are_told_once_each(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MANY", 300)
    ids = await seed(scoring.db, NOW, 1000)
    place = await tell_beginnings(scoring.db, scoring.clock, scoring.settings)
    told = await scoring.events()
    assert {each.customer_id for each in told} == set(ids)
    assert len(told) == len(ids)
    assert await tell_beginnings(scoring.db, scoring.clock, scoring.settings, place) == place
    assert await tell_beginnings(scoring.db, scoring.clock, scoring.settings) == place, "looked at again"
    while await scoring.look():
        pass
    assert len(await scoring.events()) == len(ids)


async def test_two_workers_tell_each_band_once(scoring: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "MANY", 100)
    monkeypatch.setattr(handlers, "BATCH", 100)
    ids = await seed(scoring.db, NOW, 1000)
    workers = [asyncio.create_task(keep_bands(scoring.db, scoring.clock, scoring.settings)) for _ in range(2)]

    async def all_told() -> bool:
        return bool(await scoring.value("SELECT count(*) >= $1 FROM outbox", len(ids)))

    await until(all_told)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    while await scoring.look():
        pass
    assert sorted(each.customer_id for each in await scoring.events()) == sorted(ids)


async def make_unscorable(db: Database, who: list[UUID]) -> None:
    """From now on no figure of theirs can be computed."""
    broken = encode(State(purchases=2, days=2, first_at=None, last_at=None))
    async with db.tx() as tx:
        await tx.execute("UPDATE customer_state SET state = $1 WHERE customer_id = ANY($2)", broken, who)


async def test_a_band_that_cannot_be_computed_holds_up_no_other(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MANY", 4)
    ids = sorted(await seed(scoring.db, NOW, 10))
    await make_unscorable(scoring.db, ids[1:2])
    with capture_logs() as logs:
        told = await beginnings(scoring)
    assert {each.customer_id for each in told} == {*ids} - {ids[1]}
    assert [each["customer_id"] for each in logs] == [str(ids[1])]
    assert await scoring.look() == 10
    assert len(await scoring.events()) == 9
    assert await scoring.value("SELECT due_at > $2 FROM customer_state WHERE customer_id = $1", ids[1], NOW)


async def test_a_band_that_begins_for_nobody_with_figures_does_not_end_the_look(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MANY", 4)
    ids = sorted(await seed(scoring.db, NOW, 10))
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_score SET band = NULL WHERE customer_id = $1", ids[1])
    assert {each.customer_id for each in await beginnings(scoring)} == {*ids} - {ids[1]}


_READ_WHOLE = (
    "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname LIKE 'customer%' ORDER BY 1"
)


@pytest.mark.parametrize(
    "lock", [store.lock_unchanged, lambda tx, due: store.lock_changed(tx, due, 20)], ids=["same", "changed"]
)
async def test_no_table_is_read_whole_to_lock_and_write_customers_however_small_it_is(
    scoring: Scoring, lock: Callable[[Tx, list[Due]], Awaitable[Collection[object]]]
) -> None:
    await seed(scoring.db, NOW, 20)
    async with scoring.db.tx() as tx:
        await tx.execute("ANALYZE customer_state, customer_score")
        served = await models.served_with(tx, scoring.settings)
    async with scoring.db.snapshot() as tx:
        due = await store.find_due(tx, NOW, 20)
    outcome = score_all(due, served, 90, NOW)
    async with scoring.db.tx() as tx:
        before = await tx.fetch(_READ_WHOLE)
        assert len(await lock(tx, due)) == len(due) == 20
        assert len(await store.as_told(tx, due)) == 20
        assert len(await store.tell(tx, outcome.changes)) == 20
        assert len(await store.events_counted(tx, [one.customer_id for one in due])) == 20
        await store.save(tx, outcome.scores, served, NOW)
        await store.set_timers(tx, outcome.timers)
        assert await tx.fetch(_READ_WHOLE) == before


async def test_to_lock_and_tell_some_of_many_customers_no_others_are_read(scoring: Scoring) -> None:
    await seed(scoring.db, NOW, 4000)
    rows_read = (
        "SELECT sum(idx_tup_fetch) FROM pg_stat_xact_user_tables"
        " WHERE relname IN ('customer_state', 'customer_score')"
    )
    async with scoring.db.tx() as tx:
        await tx.execute("ANALYZE customer_state, customer_score")
        due = await store.find_due(tx, NOW, 400)
    changes = changes_of(due, PUBLISHED, 90, NOW).changes
    async with scoring.db.tx() as tx:
        before = await tx.fetchval(rows_read)
        assert len(await store.lock_unchanged(tx, due)) == 400
        assert len(await store.tell(tx, changes)) == 400
        assert await tx.fetchval(rows_read) - before < 4 * 400


_WORKER = """
import asyncio, sys
from scoring.bands.handlers import keep_bands
from scoring.settings import ScoringSettings
from shared.clock import Clock
from shared.db import Database

async def work():
    db = await Database.open(sys.argv[1])
    await keep_bands(db, Clock(), ScoringSettings.model_construct(churn_horizon_days=90, margin=0.3))

asyncio.run(work())
"""


@asynccontextmanager
async def worker(scoring: Scoring) -> AsyncIterator[None]:
    """The job as a process of its own, killed when the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WORKER, scoring.settings.database_url
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def test_a_worker_killed_while_it_tells_of_thousands_leaves_none_out_and_repeats_none(
    scoring: Scoring,
) -> None:
    at = datetime.now(UTC)
    ids = await seed(scoring.db, at, 10_000)

    async def told() -> int:
        return int(await scoring.value("SELECT count(*) FROM outbox"))

    holding = await asyncpg.connect(scoring.settings.database_url)
    async with holding.transaction():
        # The last of them cannot be told of yet: the worker has come no further when it is killed.
        await holding.execute("INSERT INTO stream_seq VALUES ('patron.scoring', $1, 0)", str(max(ids)))
        async with worker(scoring):
            await until(lambda: _is(told, 2 * handlers.MANY))
    await holding.close()
    assert await told() == 2 * handlers.MANY
    async with worker(scoring):
        await until(lambda: _is(told, len(ids)))
    while await scoring.look():
        pass
    events = await scoring.events()
    assert sorted(each.customer_id for each in events) == sorted(ids)
    assert all(abs(each.crossed_at - at) < SECOND <= each.scored_at - at + SECOND for each in events)


async def _is(count: Callable[[], Awaitable[int]], expected: int) -> bool:
    return await count() == expected


@pytest.mark.parametrize(
    ("statement", "index"),
    [(store.DUE, "customer_state_due"), (store.BEGINNING, "customer_state_begins")],
)
async def test_who_is_due_is_found_by_an_index_among_many(
    scoring: Scoring, statement: str, index: str
) -> None:
    await seed(scoring.db, NOW + timedelta(days=1), 20_000)
    async with scoring.db.tx() as tx:
        await tx.execute("ANALYZE customer_state")
        given = [NOW, 1000, *store.FIRST][: statement.count("$")]
        plan = "\n".join(r[0] for r in await tx.fetch(f"EXPLAIN {statement}", *given))
    assert f"using {index}" in plan
    assert "Seq Scan" not in plan
