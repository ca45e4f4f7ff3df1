"""Bands change by events and by time alone, each change is told once, and lists show them."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.app import SERVICE
from scoring.bands.handlers import score_old, score_outdated
from shared.events.scoring import ChurnBandChanged
from shared.service import run_worker
from tests.service.scoring.conftest import NOW, Scoring, cancelled, created, opened, placed

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


async def test_time_alone_takes_a_customer_through_all_bands_on_time(scoring: Scoring) -> None:
    who = await regular(scoring)
    await scoring.look()
    bands = []
    for _ in range(3):
        rings_at = await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who)
        assert await scoring.look((rings_at - scoring.clock.now()) - timedelta(seconds=5)) == 0
        assert await scoring.look(timedelta(seconds=10)) == 1
        bands.append((await scoring.events())[-1].after)
    assert bands == ["medium", "high", "critical"]
    assert len(await scoring.events()) == 4
    assert await scoring.value("SELECT due_at FROM customer_state WHERE customer_id = $1", who) is None


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


async def test_figures_in_lists_are_refreshed_after_a_minute(scoring: Scoring) -> None:
    await regular(scoring)
    await scoring.look()
    assert await score_old(scoring.db, scoring.clock, scoring.settings) == 0
    scoring.clock.advance(timedelta(seconds=61))
    assert await score_old(scoring.db, scoring.clock, scoring.settings) == 1
    assert await scoring.value("SELECT scored_at FROM customer_score") == scoring.clock.now()
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


@pytest.fixture
async def people(scoring: Scoring) -> list[UUID]:
    """Fifteen customers, last heard of ever longer ago, and one who never bought."""
    who = [uuid4() for _ in range(15)]
    await scoring.tell(created(uuid4()))
    for place, each in enumerate(who):
        last = NOW - 12 * place * DAY
        await scoring.tell(*[placed(each, last - days * DAY, 100 * (place + 1)) for days in (60, 40, 20, 0)])
    await scoring.look()
    return who


@pytest.mark.parametrize("sort", ["churn", "-churn", "loyalty", "-loyalty", "value", "-value"])
@pytest.mark.parametrize("band", [None, "low", "high"])
async def test_lists_page_through_everybody_once_in_order(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID], sort: str, band: str | None
) -> None:
    query: dict[str, str | int] = {"sort": sort, "limit": 4}
    if band:
        query["band"] = band
    items, cursor = [], None
    while True:
        answer = await analyst.get("/v1/scores", params=query | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    column = {"churn": "churn", "loyalty": "loyalty", "value": "value_minor"}[sort.removeprefix("-")]
    figures = [item[column] for item in items]
    assert figures == sorted(figures, reverse=sort.startswith("-"))
    every = {str(each) for each in people}
    assert len(items) == len({item["customer_id"] for item in items})
    assert {item["customer_id"] for item in items} <= every
    assert band is not None or len(items) == len(every)
    assert all(band is None or item["band"] == band for item in items)


async def test_a_cursor_of_another_list_is_refused(analyst: httpx.AsyncClient, people: list[UUID]) -> None:
    cursor = (await analyst.get("/v1/scores?limit=2")).json()["next_cursor"]
    for query in (f"?limit=2&sort=churn&cursor={cursor}", f"?cursor={cursor[:-2]}AA", "?cursor=%00"):
        assert (await analyst.get(f"/v1/scores{query}")).status_code == 422


@pytest.mark.parametrize(
    "query", ["?band=worst", "?sort=name", "?limit=0", "?limit=201", "?nonsense=1", "?band=low&band2=high"]
)
async def test_a_list_refuses_what_it_does_not_know(analyst: httpx.AsyncClient, query: str) -> None:
    assert (await analyst.get(f"/v1/scores{query}")).status_code == 422


async def test_the_list_agrees_with_the_score(analyst: httpx.AsyncClient, people: list[UUID]) -> None:
    for item in (await analyst.get("/v1/scores")).json()["items"]:
        score = (await analyst.get(f"/v1/scores/{item['customer_id']}")).json()
        assert item["churn"] == pytest.approx(score["churn"]["probability"], abs=1e-9)
        assert item["band"] == score["churn"]["band"]
        assert item["value_minor"] == score["value_minor"]
