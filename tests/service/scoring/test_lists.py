"""Lists of scores: any order under any filters, each customer once, counted, as true as a single score."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.bands.handlers import score_outdated
from shared.errors import Unavailable
from tests.service.scoring.conftest import NOW, Scoring, cancelled, created, placed

DAY = timedelta(days=1)
BANDS = ["low", "medium", "high", "critical"]
Item = dict[str, Any]


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


async def page(caller: httpx.AsyncClient, **query: Any) -> Item:
    answer = await caller.get("/v1/scores", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def walk(caller: httpx.AsyncClient, **query: Any) -> list[Item]:
    items: list[Item] = []
    cursor: dict[str, str] = {}
    while True:
        found = await page(caller, **query, **cursor)
        items += found["items"]
        if found["next_cursor"] is None:
            return items
        cursor = {"cursor": found["next_cursor"]}


def by(sort: str) -> Callable[[Item], Any]:
    column = {"value": "value_minor"}.get(sort.removeprefix("-"), sort.removeprefix("-"))
    return lambda item: (BANDS.index(item["band"]) if column == "band" else item[column], item["customer_id"])


@pytest.mark.parametrize("down", ["", "-"])
@pytest.mark.parametrize("sort", ["churn", "loyalty", "value", "band", "model_version"])
async def test_lists_page_through_everybody_once_in_order(
    analyst: httpx.AsyncClient, people: list[UUID], sort: str, down: str
) -> None:
    items = await walk(analyst, sort=down + sort, limit=4)
    assert items == sorted(items, key=by(sort), reverse=bool(down))
    assert {item["customer_id"] for item in items} == {str(each) for each in people}
    assert len(items) == len(people)


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ({"band": "low"}, lambda item: item["band"] == "low"),
        ({"band": ["high", "critical"]}, lambda item: item["band"] in ("high", "critical")),
        ({"churn_min": 0.3}, lambda item: item["churn"] >= 0.3),
        ({"churn_min": 0.3, "churn_max": 0.6}, lambda item: 0.3 <= item["churn"] <= 0.6),
        ({"loyalty_max": 55.5}, lambda item: item["loyalty"] <= 55.5),
        ({"loyalty_min": 45, "value_max": 900}, lambda i: i["loyalty"] >= 45 and i["value_minor"] <= 900),
        ({"band": "low", "value_min": 300}, lambda i: i["band"] == "low" and i["value_minor"] >= 300),
        ({"model_version": 0}, lambda item: True),
        ({"model_version": 1}, lambda item: False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sort", ["-churn", "value"])
async def test_filters_act_together_and_what_passes_is_counted(
    analyst: httpx.AsyncClient, people: list[UUID], query: Item, passes: Callable[[Item], bool], sort: str
) -> None:
    everybody = await walk(analyst)
    wanted = sorted(filter(passes, everybody), key=by(sort), reverse=sort.startswith("-"))
    assert await walk(analyst, sort=sort, limit=3, **query) == wanted
    first = await page(analyst, sort=sort, limit=3, **query)
    assert first["total"] == len(wanted)
    assert first["by_band"] == {band: sum(i["band"] == band for i in wanted) for band in BANDS}


async def test_bounds_are_included(analyst: httpx.AsyncClient, people: list[UUID]) -> None:
    some = (await page(analyst))["items"][3]
    for name, column in (("churn", "churn"), ("loyalty", "loyalty"), ("value", "value_minor")):
        only = await walk(analyst, **{f"{name}_min": some[column], f"{name}_max": some[column]})
        assert some in only


async def test_the_count_is_of_all_pages(analyst: httpx.AsyncClient, people: list[UUID]) -> None:
    first = await page(analyst, limit=2)
    second = await page(analyst, limit=2, cursor=first["next_cursor"])
    assert first["total"] == second["total"] == 15
    assert sum(second["by_band"].values()) == 15


async def test_a_list_shows_what_was_just_scored_and_no_longer_who_has_no_purchase_left(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    before = await walk(analyst, sort="-value")
    only, richest = placed(uuid4(), NOW - DAY), people[0]
    await scoring.tell(only, placed(richest, NOW, 100_000))
    await scoring.look()
    after = await walk(analyst, sort="-value")
    assert {item["customer_id"] for item in after} == {str(each) for each in (*people, only.customer_id)}
    assert after[0]["customer_id"] == str(richest)
    await scoring.tell(cancelled(only, NOW))
    await scoring.look()
    assert len(await walk(analyst)) == len(before)
    assert (await page(analyst))["total"] == len(before)
    again = placed(only.customer_id, NOW)
    await scoring.tell(again)
    await scoring.look()
    assert (await page(analyst))["total"] == len(before) + 1


async def test_a_list_shows_what_was_scored_before_it_was_asked_for_also_while_others_are_read(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    done = False

    async def read_on() -> int:
        read = 0
        while not done:
            await page(analyst, sort="value")
            read += 1
        return read

    others = [asyncio.create_task(read_on()) for _ in range(3)]
    totals = []
    for _ in range(5):
        await scoring.tell(placed(uuid4(), NOW - DAY))
        await scoring.look()
        totals.append((await page(analyst))["total"])
    done = True
    assert all(read > 0 for read in await asyncio.gather(*others))
    assert totals == [len(people) + more for more in range(1, 6)]


async def test_a_database_put_back_to_an_earlier_time_is_read_anew(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    await page(analyst)
    scoring.app.state.everybody._seen = 2**60  # as far as the database never was
    async with scoring.db.tx() as tx:
        await tx.execute("DELETE FROM customer_score WHERE customer_id = $1", people[0])
    assert (await page(analyst))["total"] == len(people) - 1


async def test_what_was_scored_under_a_number_given_out_again_after_a_crash_is_seen(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    await page(analyst)
    async with scoring.db.tx() as tx:
        await tx.execute("TRUNCATE server_run")  # as a crash does with what is unlogged
        await tx.execute(
            "UPDATE customer_score SET loyalty = 99.5, changed = 3 WHERE customer_id = $1", people[0]
        )
    assert (await page(analyst, sort="-loyalty"))["items"][0]["loyalty"] == 99.5


async def test_a_process_is_ready_when_it_has_read_what_lists_show(
    scoring: Scoring, people: list[UUID]
) -> None:
    everybody = scoring.app.state.everybody
    async with everybody._alone:  # as if it took long
        with pytest.raises(Unavailable):
            await scoring.app.state.ready()
    await scoring.app.state.ready()
    assert len(everybody._columns) == len(people)


async def test_a_new_model_is_seen_in_the_list(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    assert (await page(analyst, model_version=0))["total"] == 15
    assert (await analyst.post("/v1/models/fit")).status_code == 201
    await score_outdated(scoring.db, scoring.clock, scoring.settings)
    assert (await page(analyst, model_version=0))["total"] == 0
    assert (await page(analyst, model_version=1))["total"] == 15


async def test_the_list_says_as_of_when_its_figures_hold(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    async def as_of() -> datetime:
        return datetime.fromisoformat((await page(analyst))["as_of"])

    assert await as_of() == NOW
    next_due = await scoring.value("SELECT min(due_at) FROM customer_state")
    scoring.clock.advance(next_due - NOW + timedelta(hours=2))
    assert await as_of() == next_due, "nobody has looked at who was due since"
    while await scoring.look():
        pass
    assert await as_of() == scoring.clock.now()


async def test_the_list_agrees_with_the_score_now_and_when_nothing_has_happened_for_days(
    scoring: Scoring, analyst: httpx.AsyncClient, people: list[UUID]
) -> None:
    for _ in range(3):
        for item in (await page(analyst))["items"]:
            score = (await analyst.get(f"/v1/scores/{item['customer_id']}")).json()
            assert item["churn"] == pytest.approx(score["churn"]["probability"], abs=0.001)
            assert item["band"] == score["churn"]["band"]
            assert item["loyalty"] == pytest.approx(score["loyalty"]["index"], abs=0.1)
            assert item["value_minor"] == pytest.approx(score["value_minor"], rel=0.01, abs=11)
        scoring.clock.advance(timedelta(days=1.3))
        while await scoring.look():
            pass


async def test_a_cursor_of_another_list_is_refused(analyst: httpx.AsyncClient, people: list[UUID]) -> None:
    cursor = (await page(analyst, limit=2))["next_cursor"]
    for query in (
        f"?limit=2&sort=churn&cursor={cursor}",
        f"?limit=2&churn_min=0.1&cursor={cursor}",
        f"?cursor={cursor[:-2]}AA",
        "?cursor=%00",
    ):
        assert (await analyst.get(f"/v1/scores{query}")).status_code == 422


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?band=worst", "band"),
        ("?sort=name", "sort"),
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
        ("?nonsense=1", "nonsense"),
        ("?band=low&band2=high", "band2"),
        ("?churn_min=-0.1", "churn_min"),
        ("?churn_max=1.1", "churn_max"),
        ("?churn_min=nan", "churn_min"),
        ("?loyalty_min=101", "loyalty_min"),
        ("?value_min=1.5", "value_min"),
        ("?value_max=9223372036854775808", "value_max"),
        ("?model_version=-1", "model_version"),
        ("?churn_min=0.6&churn_max=0.5", "churn_min"),
    ],
)
async def test_a_list_refuses_what_it_does_not_know(
    analyst: httpx.AsyncClient, query: str, field: str
) -> None:
    answer = await analyst.get(f"/v1/scores{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(field)
