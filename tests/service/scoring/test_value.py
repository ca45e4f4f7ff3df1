"""Values and losses as they are read, and the comparison of the methods behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.care import store as models
from scoring.models.value_methods import METHODS, SEGMENTS
from scoring.value import handlers, store
from shared.web.sync import sync_token
from tests.service.scoring.conftest import NOW, Scoring, cancelled, completed, created, placed

DAY = timedelta(days=1)


async def read(caller: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await caller.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def factor(loss: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = [each for each in loss["factors"] if each["code"] == code]
    return dict(found)


@pytest.fixture
async def buyers(scoring: Scoring) -> list[UUID]:
    """Enough customers, over enough time, for the methods to be compared."""
    dice, who, events = Random(11), [uuid4() for _ in range(240)], []
    for each in who:
        at = dice.uniform(350, 700)
        pace = dice.uniform(15, 60)
        while at > 0:
            events.append(placed(each, NOW - at * DAY, dice.randint(500, 5000)))
            at = at - dice.expovariate(1 / pace) if dice.random() < 0.93 else -1
    for start in range(0, len(events), 300):
        await scoring.tell(*events[start : start + 300])
    return who


async def compared(analyst: httpx.AsyncClient) -> dict[str, Any]:
    answer = await analyst.post("/v1/value-methods/compare")
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_before_a_comparison_the_value_is_the_score_s_and_says_so(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in (90, 60, 30)])
    value = await read(analyst, f"/v1/scores/{who}/value")
    score = await read(analyst, f"/v1/scores/{who}")
    purchase = value["purchase"]
    assert (purchase["measured"], purchase["method"], purchase["because"]) == (
        True,
        "probabilistic",
        "not_compared",
    )
    assert purchase["value_minor"] == score["value_minor"] > 0
    assert purchase["error"] is None
    assert value["total"] == {
        "value_minor": score["value_minor"],
        "of": ["purchase"],
        "leaves_out": ["word_of_mouth", "information", "knowledge"],
    }
    assert (value["months"], value["yearly_discount"], value["margin"]) == (36, 0.1, 0.3)
    assert value["compared_at"] is None
    assert value["progress"] == {"orders": 3, "service_desk": 0}


async def test_what_is_not_measured_is_null_and_says_why(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    value = await read(analyst, f"/v1/scores/{who}/value")
    for source in ("word_of_mouth", "information", "knowledge"):
        assert (value[source]["measured"], value[source]["value_minor"]) == (False, None)
        assert value[source]["text"]


async def test_after_a_comparison_the_segment_s_winner_is_served_with_its_error(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    made = await compared(analyst)
    assert (made["version"], made["status"], made["one_in"]) == (1, "compared", 1)
    assert made["customers"] == sum(segment["customers"] for segment in made["segments"]) == 240
    assert await read(analyst, "/v1/value-methods") == made
    segments = {segment["segment"]: segment for segment in made["segments"]}
    assert set(segments) <= set(SEGMENTS)
    decided = 0
    for who in buyers[:40]:
        value = await read(analyst, f"/v1/scores/{who}/value")
        purchase = value["purchase"]
        assert [method["method"] for method in purchase["methods"]] == list(METHODS)
        assert value["total"]["value_minor"] == purchase["value_minor"]
        assert value["compared_at"] == made["compared_at"]
        segment = segments.get(purchase["segment"])
        if segment is not None and segment["decided"]:
            decided += 1
            errors = {each["method"]: each["error"] for each in segment["methods"]}
            assert purchase["method"] == segment["winner"]
            assert purchase["error"] == errors[segment["winner"]]
            assert purchase["error"]["rmse_minor"] == min(error["rmse_minor"] for error in errors.values())
    assert decided > 20


async def test_before_a_comparison_the_methods_have_nothing_to_show(analyst: httpx.AsyncClient) -> None:
    shown = await read(analyst, "/v1/value-methods")
    assert (shown["version"], shown["status"], shown["segments"]) == (0, "not_compared", [])
    assert "/v1/value-methods/compare" in shown["text"]


async def test_too_little_history_is_compared_and_says_what_is_missing(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 300 * DAY), placed(who, NOW - DAY))
    made = await compared(analyst)
    assert (made["status"], made["segments"], made["customers"]) == ("too_little_data", [], 1)
    assert "needs 100 customers" in made["text"]
    purchase = (await read(analyst, f"/v1/scores/{who}/value"))["purchase"]
    assert (purchase["method"], purchase["because"]) == ("probabilistic", "too_little_data")


async def test_without_purchases_there_is_nothing_to_compare(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    await scoring.tell(created(uuid4()))
    answer = await analyst.post("/v1/value-methods/compare")
    assert answer.status_code == 409
    assert "nothing to compare" in answer.json()["detail"]


async def test_only_purchases_that_count_and_have_happened_are_compared_once(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, never = uuid4(), placed(uuid4(), NOW - 5 * DAY)
    first = placed(who, NOW - 300 * DAY, 700)
    await scoring.tell(first, placed(who, NOW - 300 * DAY, 300), placed(who, NOW - 9 * DAY, 50))
    await scoring.tell(completed(first, NOW), never, placed(uuid4(), NOW + 2 * DAY))
    await scoring.tell(cancelled(never, NOW))
    purchases, one_in = await store.sample(scoring.db, NOW)
    assert one_in == 1
    assert purchases.amount.tolist() == [1000, 50]


async def test_of_very_many_purchases_a_sample_of_the_customers_is_taken(
    scoring: Scoring, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody, _ = await store.sample(scoring.db, NOW)
    monkeypatch.setattr(store, "MOST_PURCHASES", len(everybody.customer) // 3)
    some, one_in = await store.sample(scoring.db, NOW)
    assert one_in == 4
    assert 20 < some.standing(1e4).who.size < 120


async def test_a_comparison_repeated_with_its_key_is_answered_alike(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    await scoring.tell(placed(uuid4(), NOW - DAY))
    headers = {"Idempotency-Key": "one"}
    first = await analyst.post("/v1/value-methods/compare", headers=headers)
    second = await analyst.post("/v1/value-methods/compare", headers=headers)
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (await compared(analyst))["version"] == 2


async def test_nothing_is_compared_while_a_model_is_fitted(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    await scoring.tell(placed(uuid4(), NOW - DAY))
    async with models.alone(scoring.db):
        assert (await analyst.post("/v1/value-methods/compare")).status_code == 409


@pytest.fixture
async def workers(scoring: Scoring, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bool]]:
    """Two workers that look for a fit again and again; what they found at each look."""
    looks, is_due = [], handlers._is_due

    async def looked(*given: Any) -> bool:
        looks.append(await is_due(*given))
        return looks[-1]

    monkeypatch.setattr(handlers, "_is_due", looked)
    monkeypatch.setattr(handlers, "LOOK_EVERY_SECONDS", 0.02)
    jobs = [
        asyncio.create_task(handlers.compare_after_each_fit(scoring.db, scoring.clock, scoring.settings))
        for _ in range(2)
    ]
    yield looks
    for job in jobs:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


async def test_the_workers_compare_once_and_again_when_that_is_long_ago(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID], workers: list[bool]
) -> None:
    async def until_compared_at(at: datetime) -> int:
        async with asyncio.timeout(20):
            while True:
                shown = await read(analyst, "/v1/value-methods")
                if shown["compared_at"] == f"{at:%Y-%m-%dT%XZ}":
                    return int(shown["version"])
                await asyncio.sleep(0.02)

    assert await until_compared_at(NOW) == 1
    scoring.clock.advance(timedelta(hours=25))
    assert await until_compared_at(NOW + timedelta(hours=25)) == 2
    workers.clear()
    async with asyncio.timeout(20):
        while len(workers) < 6:  # noqa: ASYNC110  (they tell nobody else)
            await asyncio.sleep(0.02)
    assert not any(workers[2:])
    assert (await read(analyst, "/v1/value-methods"))["version"] == 2


async def test_mrs_smith_s_sum_is_reckoned_for_any_customer(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    smith = f"/v1/scores/{who}/loss?spend_per_week_minor=5000&years=10"
    loss = await read(analyst, smith)
    assert (loss["own_minor"], loss["others"], loss["total_minor"]) == (2_600_000, 7.5, 22_100_000)
    assert loss["total_margin_minor"] == 6_630_000
    assert (await read(analyst, f"{smith}&told=20"))["total_minor"] == 41_600_000
    alone = await read(
        analyst, f"{smith}&told=10&heeding_share=0.5&retold_to=5&leaving_share=0&weeks_per_year=52"
    )
    assert alone["total_minor"] == alone["own_minor"]


async def test_a_loss_says_where_each_factor_comes_from(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY, 700) for days in range(421, 0, -7)])
    loss = await read(analyst, f"/v1/scores/{who}/loss?told=4")
    assert {each["code"]: each["source"] for each in loss["factors"]} == {
        "spend_per_week_minor": "customer",
        "weeks_per_year": "setting",
        "years": "model",
        "told": "request",
        "heeding_share": "setting",
        "retold_to": "setting",
        "leaving_share": "setting",
    }
    assert factor(loss, "spend_per_week_minor")["value"] == pytest.approx(700)
    assert loss["own_minor"] == pytest.approx(700 * 52 * factor(loss, "years")["value"], abs=1)
    assert loss["currency"] == "USD"
    assert loss["total_minor"] == loss["own_minor"] + loss["others_minor"]


async def test_a_customer_who_has_not_bought_is_answered_without_figures(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(created(who))
    value = await read(analyst, f"/v1/scores/{who}/value")
    assert (value["purchase"]["measured"], value["purchase"]["value_minor"]) == (False, None)
    assert "Nothing has been bought yet" in value["purchase"]["text"]
    assert (value["total"]["value_minor"], value["total"]["of"]) == (None, [])
    loss = await read(analyst, f"/v1/scores/{who}/loss")
    assert (loss["own_minor"], loss["total_minor"]) == (None, None)
    assert "Nothing has been bought yet" in factor(loss, "years")["text"]


@pytest.mark.parametrize("what", ["value", "loss"])
async def test_an_unknown_customer_is_not_found(analyst: httpx.AsyncClient, what: str) -> None:
    answer = await analyst.get(f"/v1/scores/{uuid4()}/{what}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:patron:problem:not-found"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("told", "-1"),
        ("told", "1.5"),
        ("told", "10001"),
        ("heeding_share", "1.01"),
        ("heeding_share", "nan"),
        ("leaving_share", "-0.1"),
        ("retold_to", "many"),
        ("years", "101"),
        ("years", "inf"),
        ("weeks_per_year", "54"),
        ("spend_per_week_minor", "9" * 400),
    ],
)
async def test_a_factor_outside_its_range_is_refused_by_name(
    analyst: httpx.AsyncClient, name: str, value: str
) -> None:
    answer = await analyst.get(f"/v1/scores/{uuid4()}/loss", params={name: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == name


async def test_a_factor_that_does_not_exist_is_refused(analyst: httpx.AsyncClient) -> None:
    answer = await analyst.get(f"/v1/scores/{uuid4()}/loss", params={"spending": "1"})
    assert answer.status_code == 422
    assert "leaving_share" in answer.json()["detail"]


@pytest.mark.parametrize("what", ["value", "loss"])
async def test_a_read_says_when_it_is_behind(scoring: Scoring, analyst: httpx.AsyncClient, what: str) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    answer = await analyst.get(
        f"/v1/scores/{who}/{what}", headers={"Sync-Token": sync_token("orders", who, 7)}
    )
    assert answer.headers["Sync-Behind"] == f"orders:{who}=1; wanted=7"


async def test_who_may_not_read_scores_may_not_read_values(scoring: Scoring) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    paths = (f"/v1/scores/{who}/value", f"/v1/scores/{who}/loss", "/v1/value-methods")
    nobody = await scoring.caller(None)
    engineer = await scoring.caller("engineer")
    for path in paths:
        assert (await nobody.get(path)).status_code == 401
        assert (await engineer.get(path)).status_code == 403
    sales = await scoring.caller("sales")
    assert (await sales.get(paths[0])).status_code == 200
    assert (await sales.post("/v1/value-methods/compare")).json()["missing_scope"] == "scores:fit"


async def test_a_customer_may_not_read_even_their_own_value(scoring: Scoring) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    caller = await scoring.caller("customer", customer_id=who)
    for what in ("value", "loss"):
        assert (await caller.get(f"/v1/scores/{who}/{what}")).status_code == 403


async def test_extreme_histories_are_compared_and_valued(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    often, huge, ancient, ahead = uuid4(), uuid4(), uuid4(), uuid4()
    await scoring.tell(*[placed(often, NOW - days * DAY) for days in range(900, 0, -1)])
    await scoring.tell(*[placed(huge, NOW - days * DAY, amount=10**15) for days in (30, 20, 10)])
    await scoring.tell(placed(ancient, NOW.replace(year=1901)))
    await scoring.tell(placed(ahead, NOW + DAY))
    await compared(analyst)
    for who in (often, huge, ancient, ahead):
        assert (await read(analyst, f"/v1/scores/{who}/value"))["purchase"]["value_minor"] >= 0
        assert (await read(analyst, f"/v1/scores/{who}/loss"))["total_minor"] >= 0
