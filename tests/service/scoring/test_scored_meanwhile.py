"""Nobody is held while they are scored: what happens to them meanwhile."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.bands import domain, handlers
from scoring.bands.handlers import score_changed, score_outdated, tell_beginnings
from shared.events.scoring import ChurnBandChanged
from tests.service.scoring.conftest import NOW, Scoring, cancelled, opened, placed
from tests.service.scoring.test_crossings import seed
from tests.service.scoring.test_weights import put, read

DAY = timedelta(days=1)
Look: TypeAlias = Callable[..., Awaitable[object]]
Meanwhile: TypeAlias = Callable[[Callable[[], Awaitable[Any]]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Has something happen each time after customers were read and before they are scored."""

    def arrange(do: Callable[[], Awaitable[Any]]) -> None:
        loop = asyncio.get_running_loop()

        async def done() -> None:
            await do()

        def after(compute: Callable[..., Any]) -> Callable[..., Any]:
            def computed(*given: Any) -> Any:
                asyncio.run_coroutine_threadsafe(done(), loop).result(10)
                return compute(*given)

            return computed

        monkeypatch.setattr(domain, "score_all", after(domain.score_all))
        monkeypatch.setattr(domain, "changes_of", after(domain.changes_of))

    return arrange


def once(do: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
    """The first time only."""
    left = [do]

    async def first() -> None:
        if left:
            await left.pop()()

    return first


async def regular(scoring: Scoring) -> UUID:
    """Somebody who buys every ten days, and did yesterday."""
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(181, 0, -10)])
    return who


async def silent(scoring: Scoring) -> UUID:
    """Somebody who bought every ten days, until two years ago."""
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(911, 730, -10)])
    return who


async def is_due(scoring: Scoring, who: UUID) -> bool:
    due = "SELECT due_at <= $2 FROM customer_state WHERE customer_id = $1"
    return bool(await scoring.value(due, who, scoring.clock.now()))


async def test_whoever_has_changed_while_they_were_scored_is_scored_as_they_are_now(
    scoring: Scoring, meanwhile: Meanwhile
) -> None:
    who = await silent(scoring)
    meanwhile(once(lambda: scoring.tell(placed(who, NOW))))
    assert await scoring.look() == 1
    (told,) = await scoring.events()
    assert (told.before, told.after, told.orders_seq) == (None, "low", 20)
    assert not await is_due(scoring, who)


async def test_of_many_who_have_changed_meanwhile_a_few_are_scored_and_the_others_at_the_next_look(
    scoring: Scoring, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "FEW", 1)
    changing = [await silent(scoring) for _ in range(3)]
    still = await silent(scoring)
    meanwhile(once(lambda: scoring.tell(*[placed(who, NOW) for who in changing])))
    assert await scoring.look() == 2
    told = {each.customer_id: each.after for each in await scoring.events()}
    assert told.pop(still) == "critical"
    assert list(told.values()) == ["low"], "nobody is told of as they were"
    assert [await is_due(scoring, who) for who in changing].count(True) == 2
    assert await scoring.look() == 2
    assert Counter(each.after for each in await scoring.events()) == {"critical": 1, "low": 3}


async def test_whoever_changes_whenever_nobody_holds_them_is_scored_all_the_same(
    scoring: Scoring, meanwhile: Meanwhile
) -> None:
    busy, days = uuid4(), iter(range(60, 0, -1))
    await scoring.tell(placed(busy, NOW - next(days) * DAY))
    mass = [uuid4() for _ in range(30)]
    await scoring.tell(*[placed(who, NOW - DAY) for who in mass])

    async def buy() -> None:
        free = "SELECT customer_id FROM customer_state WHERE customer_id = $1 FOR UPDATE SKIP LOCKED"
        if await scoring.value(free, busy):
            await scoring.tell(placed(busy, NOW - next(days) * DAY))

    meanwhile(buy)
    expected = []
    for _ in range(3):
        assert await scoring.look() >= 1
        found = "SELECT expected_purchases FROM customer_score WHERE customer_id = $1"
        expected.append(await scoring.value(found, busy))
        await buy()
    assert None not in expected
    assert expected == sorted(set(expected)), "each time as they are by then"


async def test_a_band_is_not_told_of_whoever_buys_while_it_is_computed(
    scoring: Scoring, meanwhile: Meanwhile, only_bands: None
) -> None:
    who = await regular(scoring)
    await scoring.look()
    begins = await scoring.value("SELECT due_at FROM customer_state")
    scoring.clock.advance(begins - NOW)
    meanwhile(once(lambda: scoring.tell(placed(who, scoring.clock.now()))))
    await tell_beginnings(scoring.db, scoring.clock, scoring.settings)
    await scoring.look()
    assert [each.after for each in await scoring.events()] == ["low"]


async def test_whoever_has_nothing_left_meanwhile_gets_no_figures(
    scoring: Scoring, meanwhile: Meanwhile, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    only = placed(who, NOW - DAY)
    await scoring.tell(only)
    meanwhile(once(lambda: scoring.tell(cancelled(only, NOW))))
    assert await scoring.look() == 1
    assert (await analyst.get("/v1/scores")).json()["items"] == []
    assert await scoring.events() == []


async def test_whatever_is_computed_with_what_is_served_no_more_is_computed_anew(
    scoring: Scoring, meanwhile: Meanwhile, analyst: httpx.AsyncClient
) -> None:
    await regular(scoring)
    weights = (await read(analyst))["weights"] | {"time_of_buying": 1.0}
    meanwhile(once(lambda: put(analyst, weights)))
    await scoring.look()
    assert await scoring.value("SELECT weights_version FROM customer_score") == 1
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 1
    assert await scoring.value("SELECT weights_version FROM customer_score") == 2


@pytest.mark.parametrize("theirs", [score_changed, tell_beginnings])
@pytest.mark.parametrize("ours", [score_changed, tell_beginnings])
async def test_what_another_worker_has_told_meanwhile_is_not_told_again(
    scoring: Scoring, meanwhile: Meanwhile, ours: Look, theirs: Look
) -> None:
    ids = await seed(scoring.db, NOW, 20)
    meanwhile(once(lambda: theirs(scoring.db, scoring.clock, scoring.settings)))
    await ours(scoring.db, scoring.clock, scoring.settings)
    assert sorted(each.customer_id for each in await scoring.events()) == sorted(ids)


@pytest.mark.parametrize("seed_of_chance", range(2))
async def test_whatever_happens_at_once_each_customers_bands_follow_one_another(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch, seed_of_chance: int
) -> None:
    chance = random.Random(seed_of_chance)
    monkeypatch.setattr(handlers, "BATCH", 7)
    monkeypatch.setattr(handlers, "MANY", 5)
    monkeypatch.setattr(handlers, "FEW", 2)
    people = [uuid4() for _ in range(12)]
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(91, 0, -10) for who in people])

    async def happen() -> None:
        for _ in range(12):
            who, now = chance.choice(people), scoring.clock.now()
            await scoring.tell(chance.choice([placed(who, now), opened(who, now, severity="critical")]))

    async def work() -> None:
        for _ in range(6):
            await tell_beginnings(scoring.db, scoring.clock, scoring.settings)
            await score_changed(scoring.db, scoring.clock, scoring.settings)

    for _ in range(4):
        await asyncio.gather(happen(), work(), work(), work())
        scoring.clock.advance(chance.choice([1, 10, 40]) * DAY)
    while await scoring.look():
        pass
    bands: dict[UUID, str | None] = dict.fromkeys(people)
    reached: Counter[UUID] = Counter()
    for told in await scoring.events():
        if isinstance(told, ChurnBandChanged):
            assert told.before == bands[told.customer_id] != told.after
            assert told.orders_seq + told.service_desk_seq >= reached[told.customer_id]
            bands[told.customer_id] = told.after
            reached[told.customer_id] = told.orders_seq + told.service_desk_seq
    async with scoring.db.read() as tx:
        kept = {r[0]: r[1] for r in await tx.fetch("SELECT customer_id, band FROM customer_score")}
    assert bands == kept
