"""Bands change by events and by time alone, and each change is told once."""

import asyncio
import time
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.app import SERVICE
from scoring.bands import handlers
from scoring.bands.domain import SET_ASIDE
from scoring.bands.handlers import Reached, keep_bands, look, score_outdated
from shared.events.scoring import ChurnBandChanged
from shared.service import run_worker
from shared.testing.waiting import until
from tests.service.scoring.conftest import NOW, Scoring, cancelled, opened, placed
from tests.service.scoring.test_crossings import make_unscorable

DAY = timedelta(days=1)


async def regular(scoring: Scoring) -> UUID:
    """Somebody who buys every ten days, and did yesterday."""
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(181, 0, -10)])
    return who


async def test_a_first_purchase_puts_a_customer_into_a_band(scoring: Scoring) -> None:
    who = await regular(scoring)
    assert await scoring.look() == 1
    (told,) = await scoring.events()
    assert isinstance(told, ChurnBandChanged)
    assert (told.customer_id, told.before, told.after) == (who, None, "low")
    assert (told.orders_seq, told.service_desk_seq, told.model) == (19, 0, "pareto_nbd-0")


async def test_nobody_is_scored_twice_for_one_fact(scoring: Scoring) -> None:
    await regular(scoring)
    assert await scoring.look() == 1
    assert await scoring.look() == 0


async def due_at(scoring: Scoring, who: UUID) -> datetime:
    at = await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who)
    assert isinstance(at, datetime)
    return at


async def test_time_alone_takes_a_customer_through_all_bands_on_time(
    scoring: Scoring, only_bands: None
) -> None:
    who = await regular(scoring)
    await scoring.look()
    bands = []
    for _ in range(3):
        rings_at = await due_at(scoring, who)
        assert await scoring.look((rings_at - scoring.clock.now()) - timedelta(seconds=1)) == 0
        assert await scoring.look(timedelta(seconds=1)) == 1
        told = (await scoring.events())[-1]
        assert abs(told.crossed_at - rings_at) < timedelta(seconds=1)
        bands.append(told.after)
    assert bands == ["medium", "high", "critical"]
    assert len(await scoring.events()) == 4
    assert await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who) is None


async def test_a_band_begun_while_no_worker_ran_is_told_at_once_when_one_does(
    scoring: Scoring, only_bands: None
) -> None:
    who = await regular(scoring)
    await scoring.look()
    rings_at = await due_at(scoring, who)
    scoring.clock.advance(rings_at - NOW + timedelta(hours=7))
    worker = asyncio.create_task(keep_bands(scoring.db, scoring.clock, scoring.settings))
    try:
        async with asyncio.timeout(10):
            while len(await scoring.events()) < 2:  # noqa: ASYNC110  (the worker tells only the database)
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    told = (await scoring.events())[-1]
    assert (told.before, told.after, told.scored_at) == ("low", "medium", scoring.clock.now())
    assert abs(told.crossed_at - rings_at) < timedelta(seconds=1)


async def test_a_clock_that_jumps_back_delays_what_is_due_but_loses_and_repeats_nothing(
    scoring: Scoring, only_bands: None
) -> None:
    who = await regular(scoring)
    await scoring.look()
    rings_at = await due_at(scoring, who)
    await scoring.look(rings_at - NOW - timedelta(minutes=1))
    assert await scoring.look(timedelta(hours=-1)) == 0
    assert await scoring.look(timedelta(minutes=60)) == 0, "its time has not come"
    assert await scoring.look(timedelta(minutes=1)) == 1
    assert await scoring.look(timedelta(hours=-1)) == 0
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_state SET due_at = $1", scoring.clock.now())
    assert await scoring.look() == 1, "scored as of an hour before the change was told"
    assert await scoring.look(timedelta(hours=2)) == 0
    assert [told.after for told in await scoring.events()] == ["low", "medium"]


async def test_a_mass_that_is_due_at_once_does_not_hold_up_who_is_due_later(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "BATCH", 10)
    mass = [uuid4() for _ in range(30)]
    await scoring.tell(*[placed(who, NOW - DAY) for who in mass])
    scoring.clock.advance(timedelta(seconds=5))
    late = uuid4()
    await scoring.tell(placed(late, NOW - DAY))
    async with scoring.db.tx() as tx:  # the database's clock is not ours
        await tx.execute("UPDATE customer_state SET due_at = $1 WHERE customer_id = ANY($2)", NOW, mass)
        await tx.execute(
            "UPDATE customer_state SET due_at = $1 WHERE customer_id = $2", NOW + timedelta(seconds=5), late
        )
    assert await scoring.look() == 10
    assert late in {told.customer_id for told in await scoring.events()}
    assert [await scoring.look() for _ in range(3)] == [10, 10, 1]
    assert {told.customer_id for told in await scoring.events()} == {*mass, late}


@pytest.fixture
def ten_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that looks at ten at once, and waits an hour before its next look unless more are left."""
    monkeypatch.setattr(handlers, "BATCH", 10)
    monkeypatch.setattr(handlers, "EVERY_SECONDS", 3600)


async def test_while_nothing_comes_in_a_mass_is_scored_without_a_pause(
    scoring: Scoring, ten_at_a_time: None
) -> None:
    await scoring.tell(*[placed(uuid4(), NOW - DAY) for _ in range(35)])
    worker = asyncio.create_task(keep_bands(scoring.db, scoring.clock, scoring.settings))
    await until(lambda: _all_scored(scoring, 35))
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def test_customers_of_an_older_model_are_scored_without_a_pause(
    scoring: Scoring, ten_at_a_time: None
) -> None:
    await scoring.tell(*[placed(uuid4(), NOW - DAY) for _ in range(35)])
    while await scoring.look():
        pass
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_score SET model_version = 7")
    await scoring.tell(*[placed(uuid4(), NOW - DAY) for _ in range(4)])
    reached, pauses = Reached(0, 0), []
    for _ in range(4):
        pause, reached = await look(scoring.db, scoring.clock, scoring.settings, reached)
        pauses.append(pause)
    assert pauses == [0, 0, 0, 3600]
    assert await scoring.value("SELECT count(*) FROM customer_score WHERE model_version = 0") == 39


@pytest.mark.parametrize(("a_second", "pause"), [(0, 0), (500, 0), (2000, 3600)])
async def test_a_backlog_of_events_goes_on_while_a_mass_is_scored(
    scoring: Scoring, ten_at_a_time: None, a_second: int, pause: int
) -> None:
    async with scoring.db.tx() as tx:
        await tx.execute(
            "INSERT INTO consumer_offset (group_id, topic, partition, next_offset, epoch, owner)"
            " VALUES ('scoring', 'patron.orders', 0, 5, 1, 'a'), ('scoring', 'patron.orders', 1, 5, 1, 'b')"
        )
    await scoring.tell(*[placed(uuid4(), NOW - DAY) for _ in range(35)])
    hour_ago = Reached(10, time.monotonic() - 3600)
    async with scoring.db.tx() as tx:
        await tx.execute(
            "UPDATE consumer_offset SET next_offset = next_offset + $1 WHERE partition = 1", a_second * 3600
        )
    found, now = await look(scoring.db, scoring.clock, scoring.settings, hour_ago)
    assert found == pause
    found, _ = await look(scoring.db, scoring.clock, scoring.settings, now)
    assert found == 0, "nothing has come in since"


async def _all_scored(scoring: Scoring, many: int) -> bool:
    return bool(await scoring.value("SELECT count(*) = $1 FROM customer_score", many))


async def test_an_event_moves_the_timer(scoring: Scoring) -> None:
    who = await regular(scoring)
    await scoring.look()
    before = await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who)
    await scoring.tell(opened(who, NOW, severity="critical"))
    await scoring.look()
    after = await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who)
    assert NOW < after < before


async def test_the_last_order_cancelled_takes_the_score_away(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    only = placed(who, NOW - DAY)
    await scoring.tell(only)
    await scoring.look()
    await scoring.tell(cancelled(only, NOW))
    assert await scoring.look() == 1
    assert (await analyst.get("/v1/scores")).json()["items"] == []
    assert await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who) is None


async def test_a_new_model_scores_everybody_anew(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    await regular(scoring)
    await scoring.look()
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 0
    assert (await analyst.post("/v1/models/fit")).status_code == 201
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 1
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 0
    assert (await analyst.get("/v1/scores")).json()["items"][0]["model_version"] == 1


async def test_figures_of_a_model_that_was_taken_back_are_computed_anew(scoring: Scoring) -> None:
    await regular(scoring)
    await scoring.look()
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_score SET model_version = 7")
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 1
    assert await scoring.value("SELECT model_version FROM customer_score") == 0


async def test_those_who_cannot_be_scored_with_a_new_model_keep_their_figures_and_hold_up_no_other(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    broken, sound = [await regular(scoring) for _ in range(3)], await regular(scoring)
    await scoring.look()
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_score SET model_version = 7, weights_version = 2")
        await tx.execute(
            "UPDATE customer_score SET weights_version = 1 WHERE customer_id = ANY($1)", broken
        )  # so they come first
        await tx.execute("UPDATE customer_state SET due_at = NULL")
    state = await scoring.value("SELECT state FROM customer_state WHERE customer_id = $1", sound)
    await make_unscorable(scoring.db, broken)

    async def with_model(version: int) -> set[str]:
        listed = (await analyst.get(f"/v1/scores?model_version={version}")).json()["items"]
        return {each["customer_id"] for each in listed}

    assert await score_outdated(scoring.db, scoring.clock, scoring.settings, 3) == 3
    assert await with_model(7) == {str(who) for who in [*broken, sound]}
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings, 3) == 1
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings, 3) == 0
    assert await with_model(7) == {str(who) for who in broken}
    assert await with_model(0) == {str(sound)}
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_state SET state = $1", state)
    scoring.clock.advance(SET_ASIDE - timedelta(seconds=1))
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings, 3) == 0
    scoring.clock.advance(timedelta(seconds=1))
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings, 3) == 3
    assert await with_model(0) == {str(who) for who in [*broken, sound]}


async def test_figures_are_computed_anew_when_time_has_changed_them_and_not_before(scoring: Scoring) -> None:
    who = await regular(scoring)
    await scoring.look()
    before = await scoring.value("SELECT churn FROM customer_score")
    rings_at = await due_at(scoring, who)
    assert NOW + timedelta(minutes=1) <= rings_at < NOW + DAY
    assert await scoring.look(rings_at - NOW - timedelta(seconds=1)) == 0
    assert await scoring.look(timedelta(seconds=1)) == 1
    assert await scoring.value("SELECT scored_at FROM customer_score") == rings_at
    after = await scoring.value("SELECT churn FROM customer_score")
    assert 0 < after - before < 0.001
    assert len(await scoring.events()) == 1


async def test_the_outbox_holds_one_event_per_change_without_personal_data(scoring: Scoring) -> None:
    await regular(scoring)
    await scoring.look()
    async with scoring.db.read() as tx:
        found = await tx.fetch("SELECT topic, seq, payload FROM outbox")
    assert [(r["topic"], r["seq"]) for r in found] == [("patron.scoring", 1)]


async def test_the_worker_scores_while_the_broker_is_away(scoring: Scoring) -> None:
    settings = scoring.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:9"})
    who = await regular(scoring)
    worker = asyncio.create_task(run_worker(SERVICE, settings, scoring.clock))
    try:
        async with asyncio.timeout(20):
            scored = "SELECT count(*) FROM customer_score WHERE customer_id = $1"
            while not await scoring.value(scored, who):  # noqa: ASYNC110  (the worker tells only the database)
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    assert len(await scoring.events()) == 1
