"""Care of the model: worse ones are refused, earlier ones served again, every decision is kept and told."""

import asyncio
import json
from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.care import __main__ as command
from scoring.care import domain, handlers, history, judging, store
from scoring.care.domain import PUBLISHED
from scoring.models.calibration import Calibrator
from shared.clock import Clock
from shared.events.scoring import ModelFitted, ModelServed
from tests.service.scoring.conftest import NOW, Scoring, cancelled, created, fit, opened, placed, resolved

DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("quick_pages")


async def refuse_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_decide", lambda _: (False, "it is worse, this test says"))


async def test_a_fit_is_backtested_compared_and_served(
    analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    made = (await analyst.post("/v1/models/fit")).json()
    assert made["state"] == "served"
    evidence = made["evidence"]
    assert evidence["one_in"] == 1
    assert len(evidence["trials"]) == 2
    for trial in evidence["trials"]:
        assert trial["origin"] < trial["until"] <= "2026-02-28"
        assert {"rmse", "mae", "auc", "brier", "ece", "bias"} <= set(trial["raw"])
    assert evidence["calibration"]["until"] <= evidence["trials"][0]["origin"]
    assert evidence["comparison"]["customers"] == 100
    assert made["why"] in (await analyst.get("/v1/models/1")).json()["why"]


async def test_a_refused_model_is_kept_and_told_and_never_served(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    await fit(analyst)
    await refuse_all(monkeypatch)
    refused = await fit(analyst)
    assert (refused["version"], refused["state"], refused["why"]) == (
        2,
        "refused",
        "it is worse, this test says",
    )
    assert (await analyst.get(f"/v1/scores/{buyers[0]}")).json()["model"]["version"] == 1
    states = {m["version"]: m["state"] for m in (await analyst.get("/v1/models")).json()["items"]}
    assert states == {2: "refused", 1: "served", 0: "superseded"}
    told = await scoring.events("patron.scoring.reference")
    assert [event.refused for event in told if isinstance(event, ModelFitted)] == [None, refused["why"]]
    answer = await analyst.post("/v1/models/2/serve", json={"reason": "I like it"})
    assert answer.status_code == 409
    assert "was refused" in answer.json()["detail"]


async def test_an_earlier_model_is_served_again_by_one_request(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    await fit(analyst)
    first = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()
    scoring.clock.advance(timedelta(hours=1))
    await scoring.tell(placed(buyers[1], NOW - DAY))
    await fit(analyst)
    back = await analyst.post("/v1/models/1/serve", json={"reason": "the last import was wrong"})
    assert back.status_code == 200, back.text
    assert (back.json()["version"], back.json()["state"]) == (1, "served")
    score = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()
    assert score["model"] == first["model"]
    told = (await scoring.events("patron.scoring.reference"))[-1]
    assert isinstance(told, ModelServed)
    assert (told.version, told.served_from) == (1, scoring.clock.now())
    kept = await scoring.value("SELECT reason FROM model_serving ORDER BY id DESC LIMIT 1")
    assert kept == "the last import was wrong"
    assert (await fit(analyst))["version"] == 3


async def test_serving_what_is_served_changes_nothing(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    await fit(analyst)
    assert (await analyst.post("/v1/models/1/serve", json={"reason": "again"})).status_code == 200
    assert await scoring.value("SELECT count(*) FROM model_serving") == 1


async def test_the_published_prior_can_be_served_again(
    analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    await fit(analyst)
    back = await analyst.post("/v1/models/0/serve", json={"reason": "start over"})
    assert back.json()["state"] == "served"
    model = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()["model"]
    assert (model["version"], model["prior_driven"]) == (0, True)


async def test_lists_follow_a_model_that_is_served_again(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    async def versions() -> set[int]:
        await scoring.look()
        async with scoring.db.read() as tx:
            return {r[0] for r in await tx.fetch("SELECT model_version FROM customer_score")}

    await fit(analyst)
    await fit(analyst)
    while await score_outdated(scoring):
        pass
    assert await versions() == {2}
    await analyst.post("/v1/models/1/serve", json={"reason": "back"})
    while await score_outdated(scoring):
        pass
    assert await versions() == {1}


async def score_outdated(scoring: Scoring) -> int:
    from scoring.bands.handlers import score_outdated as score

    return await score(scoring.db, scoring.clock, scoring.settings)


async def test_a_past_instant_is_scored_with_the_model_served_then_whatever_was_served_since(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    hour = timedelta(hours=1)
    start = scoring.clock.at = await scoring.value(
        "SELECT clock_timestamp()"
    )  # what is known is by its clock

    async def score(**asked: str) -> dict[str, Any]:
        return dict((await analyst.get(f"/v1/scores/{buyers[0]}", params=asked)).json())

    said = [await score()]
    for serve in ("fit", "fit", "1/serve"):
        scoring.clock.advance(hour)
        answer = await analyst.post(
            f"/v1/models/{serve}", json=None if serve == "fit" else {"reason": "back"}
        )
        assert answer.json()["state"] == "served"
        said.append(await score())
    scoring.clock.advance(hour)
    for hours, (version, then) in enumerate(zip((0, 1, 2, 1), said, strict=True)):
        began = start + hours * hour
        past, later = [await score(as_of=at.isoformat()) for at in (began, began + hour / 2)]
        assert past["model"] == later["model"] == then["model"]
        assert then["model"]["version"] == version
        assert (past["p_alive"], past["reasons"]) == (then["p_alive"], then["reasons"])


async def test_a_clock_that_jumps_back_does_not_hide_what_was_served_last(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    await fit(analyst)
    scoring.clock.at = NOW - timedelta(hours=1)
    await analyst.post("/v1/models/0/serve", json={"reason": "back"})
    async with scoring.db.read() as tx:
        for minutes, version in ((-90, 0), (-30, 0), (30, 0)):
            assert (await store.served_at(tx, NOW + timedelta(minutes=minutes))).version == version


async def test_by_command_too_a_model_is_served_from_the_end_of_its_fit_on(
    scoring: Scoring, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[datetime] = []

    async def make(*given: Any) -> handlers.Made:
        made = await handlers.make(*given)
        fitted.append(Clock().now())
        return made

    monkeypatch.setattr(command, "make", make)
    assert await command.fit(scoring.db, scoring.settings, Namespace()) == 0
    assert await scoring.value("SELECT served_from FROM model_serving") >= fitted[0]


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "force": True}, {"reason": "a\nb"}])
async def test_serving_needs_a_reason_in_one_line(
    analyst: httpx.AsyncClient, body: dict[str, object]
) -> None:
    assert (await analyst.post("/v1/models/0/serve", json=body)).status_code == 422


async def test_an_unknown_model_can_be_neither_served_nor_reported(analyst: httpx.AsyncClient) -> None:
    assert (await analyst.post("/v1/models/9/serve", json={"reason": "x"})).status_code == 404
    assert (await analyst.get("/v1/models/9/report")).status_code == 404
    assert (await analyst.get("/v1/models/0/report")).status_code == 404


async def test_sales_may_not_decide_which_model_is_served(scoring: Scoring) -> None:
    caller = await scoring.caller("sales")
    answer = await caller.post("/v1/models/0/serve", json={"reason": "x"})
    assert (answer.status_code, answer.json()["missing_scope"]) == (403, "scores:fit")


async def test_the_report_is_a_page_that_asks_for_nothing_from_elsewhere(
    analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    await fit(analyst)
    page = await analyst.get("/v1/models/1/report")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for words in ("Model 1 is served from now on", "What has changed", "All backtests", "<svg"):
        assert words in page.text


async def test_the_history_is_what_the_facts_now_say(scoring: Scoring) -> None:
    who, other = uuid4(), uuid4()
    bought = [placed(who, NOW - days * DAY) for days in (40, 40, 20, 0)]
    gone = placed(other, NOW - 30 * DAY)
    complaint = opened(who, NOW - 30 * DAY, severity="critical")
    await scoring.tell(*bought, gone, complaint)
    await scoring.tell(cancelled(gone, NOW), resolved(complaint, NOW - 25 * DAY, "mishandled"))
    await scoring.tell(opened(other, NOW - 3 * DAY, kind="inquiry"))
    found = await history.read(scoring.db, NOW)
    assert found.one_in == 1
    assert found.until == (NOW - DAY).date()
    days = sorted(day.item() for day in found.purchases.day)
    assert days == [(NOW - ago * DAY).date() for ago in (40, 20, 0)]
    assert len(set(found.purchases.customer)) == 1
    assert found.complaints.customer.tolist() == [found.purchases.customer[0]]
    assert found.complaints.opened[0].item().date() == (NOW - 30 * DAY).date()
    assert found.complaints.resolved[0].item().date() == (NOW - 25 * DAY).date()
    assert (found.complaints.outcome.tolist(), found.complaints.severity.tolist()) == ([1], [1.5])


async def test_many_customers_are_sampled(
    scoring: Scoring, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_CUSTOMERS", 25)
    found = await history.read(scoring.db, NOW)
    assert found.one_in == 5
    assert 5 <= len(set(found.purchases.customer)) <= 40


async def test_a_calibrated_model_serves_calibrated_churn_with_reasons_that_add_up(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    def buys(score: dict[str, Any]) -> float:
        return 1 - float(score["churn"]["probability"])

    plain = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()
    plain_week = (await analyst.get(f"/v1/scores/{buyers[0]}?horizon_days=7")).json()
    made = await handlers.make(scoring.db, scoring.settings, NOW)
    calibrator = Calibrator(-0.4, 0.8)
    model = replace(PUBLISHED.model, calibrator=calibrator)
    calibrated = replace(made.model, model=model)
    judgement = replace(made.judgement, published=True, calibrator=calibrator)
    async with scoring.db.tx() as tx:
        await handlers.decide(tx, handlers.Made(calibrated, judgement, made.page), NOW)
    score = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()
    assert score["churn"]["log_odds"] == pytest.approx(-0.4 + 0.8 * plain["churn"]["log_odds"])
    assert score["p_alive"] == pytest.approx(plain["p_alive"])
    week = (await analyst.get(f"/v1/scores/{buyers[0]}?horizon_days=7")).json()
    assert buys(week) / buys(score) == pytest.approx(buys(plain_week) / buys(plain))
    for asked in (score, week):
        told = sum(r["contribution"] for r in asked["reasons"])
        assert told == pytest.approx(asked["churn"]["log_odds"], abs=1e-9)
    read = (await analyst.get("/v1/models/1")).json()
    assert read["calibrator"] == {"intercept": -0.4, "slope": 0.8, "horizon": 90 / 7}


async def test_prior_driven_answers_show_by_their_intervals_how_little_is_known(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    async def width(**asked: str) -> float:
        score = (await analyst.get(f"/v1/scores/{buyers[0]}", params=asked)).json()
        within = score["intervals"]
        assert 0 < within["p_alive"]["low"] < score["p_alive"] < within["p_alive"]["high"] < 1
        churn = within["churn"]
        assert 0 < churn["low"] < score["churn"]["probability"] < churn["high"] < 1
        purchases = within["expected_purchases"]
        assert 0 < purchases["low"] < score["expected_purchases"] < purchases["high"]
        return float(churn["high"] - churn["low"])

    prior = await width()
    assert await width(as_of=NOW.isoformat(), known="now") == pytest.approx(prior)
    assert (await analyst.get(f"/v1/scores/{buyers[0]}?intervals=false")).json()["intervals"] is None
    assert not (await fit(analyst))["prior_driven"]
    assert (await analyst.get(f"/v1/scores/{buyers[0]}")).json()["intervals"] is None
    assert await width(intervals="true") < prior / 2
    nobody = uuid4()
    await scoring.tell(created(nobody))
    assert (await analyst.get(f"/v1/scores/{nobody}?intervals=true")).json()["intervals"] is None


async def test_after_a_refusal_the_schedule_waits_its_time(
    scoring: Scoring, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    await refuse_all(monkeypatch)

    async def attempts() -> int:
        return int(await scoring.value("SELECT count(*) FROM fitted_model"))

    looks, is_due = [], domain.is_due

    def looked(*given: Any) -> bool:
        looks.append(is_due(*given))
        return looks[-1]

    monkeypatch.setattr(domain, "is_due", looked)
    monkeypatch.setattr(handlers, "LOOK_EVERY_SECONDS", 0.01)
    job = asyncio.create_task(handlers.refit_on_schedule(scoring.db, scoring.clock, scoring.settings))
    try:
        async with asyncio.timeout(30):
            while await attempts() < 1:  # noqa: ASYNC110  (it tells nobody but the database)
                await asyncio.sleep(0.02)
            looks.clear()
            while len(looks) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert not any(looks[1:])
            assert await attempts() == 1
            scoring.clock.advance(timedelta(hours=25))
            while await attempts() < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job
    async with scoring.db.read() as tx:
        assert (await store.served(tx)).version == 0


async def test_evidence_is_plain_json(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    await fit(analyst)
    stored = json.loads(await scoring.value("SELECT evidence FROM fitted_model"))
    assert set(stored) == {"one_in", "trials", "calibration", "comparison"}
