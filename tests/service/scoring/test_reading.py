"""Scores as they are read: as of now, with reasons that add up, and waiting for one's own writes."""

import asyncio
import math
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from scoring.facts.domain import State, encode
from shared.web.sync import sync_token
from tests.service.scoring.conftest import (
    NOW,
    Scoring,
    cancelled,
    completed,
    created,
    opened,
    placed,
    read,
    resolved,
)

DAY = timedelta(days=1)


async def test_a_customer_who_has_not_bought_has_no_figures_yet(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(created(who))
    score = await read(analyst, who)
    assert [score[name] for name in ("p_alive", "churn", "expected_purchases", "loyalty", "value_minor")] == [
        None
    ] * 5
    assert [reason["code"] for reason in score["reasons"]] == ["no_purchase_yet"]


async def test_an_unknown_customer_is_not_found(analyst: httpx.AsyncClient) -> None:
    answer = await analyst.get(f"/v1/scores/{uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:patron:problem:not-found"


async def test_an_order_may_come_before_its_customer(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    before = await read(analyst, who)
    await scoring.tell(created(who))
    after = await read(analyst, who)
    assert before["p_alive"] == after["p_alive"] > 0
    assert await scoring.states_are_their_facts()


async def test_reasons_add_up_to_the_log_odds_of_churn(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    complaint = opened(who, NOW - 20 * DAY)
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in (300, 200, 100, 40)])
    await scoring.tell(complaint)
    await scoring.tell(resolved(complaint, NOW - 10 * DAY, "mishandled"), opened(who, NOW - DAY))
    for query in ("", "?horizon_days=1", "?horizon_days=3650"):
        score = await read(analyst, who, query)
        churn = score["churn"]["probability"]
        told = sum(reason["contribution"] for reason in score["reasons"])
        assert told == pytest.approx(math.log(churn / (1 - churn)), abs=1e-9)
        assert told == pytest.approx(score["churn"]["log_odds"], abs=1e-9)


async def test_reasons_cite_the_events_they_are_known_from(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    orders = await scoring.tell(placed(who, NOW - 90 * DAY), placed(who, NOW - 30 * DAY))
    tickets = await scoring.tell(opened(who, NOW - 2 * DAY))
    reasons = {reason["code"]: reason for reason in (await read(analyst, who))["reasons"]}
    assert reasons["complaint_open"]["evidence"] == [tickets[0].headers["ce_id"]]
    assert reasons["complaint_open"]["contribution"] > 0
    assert reasons["silence"]["evidence"] == [orders[1].headers["ce_id"]]
    assert reasons["rhythm"]["evidence"] == [orders[1].headers["ce_id"], orders[0].headers["ce_id"]]
    assert reasons["base"]["evidence"] == []


async def test_churn_rises_at_a_complaint_and_falls_at_a_good_recovery(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in (300, 200, 100, 40)])
    plain = (await read(analyst, who))["churn"]["probability"]
    complaint = opened(who, NOW - 20 * DAY)
    await scoring.tell(complaint)
    complained = (await read(analyst, who))["churn"]["probability"]
    await scoring.tell(resolved(complaint, NOW - DAY, "recovered"))
    recovered = (await read(analyst, who))["churn"]["probability"]
    assert plain < recovered < complained


async def test_a_cancelled_order_leaves_the_score_as_it_was(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 90 * DAY), placed(who, NOW - 30 * DAY))
    before = await read(analyst, who)
    more = placed(who, NOW - DAY)
    await scoring.tell(more)
    assert (await read(analyst, who))["churn"]["probability"] < before["churn"]["probability"]
    await scoring.tell(cancelled(more, NOW))
    after = await read(analyst, who)
    assert {**after, "progress": None} == {**before, "progress": None}


async def test_completing_an_order_changes_nothing_but_the_evidence(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    first = placed(who, NOW - 90 * DAY)
    await scoring.tell(first)
    before = await read(analyst, who)
    await scoring.tell(completed(first, NOW))
    after = await read(analyst, who)
    assert after["churn"] == before["churn"]
    assert after["value_minor"] == before["value_minor"] > 0


async def test_the_horizon_changes_churn_but_not_the_band(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 100 * DAY), placed(who, NOW - 30 * DAY))
    short, long = await read(analyst, who, "?horizon_days=1"), await read(analyst, who, "?horizon_days=3650")
    assert short["churn"]["probability"] > long["churn"]["probability"]
    assert short["expected_purchases"] < long["expected_purchases"]
    assert short["churn"]["band"] == long["churn"]["band"]
    assert (short["p_alive"], short["value_minor"]) == (long["p_alive"], long["value_minor"])


@pytest.mark.parametrize("days", ["0", "-1", "3651", "1.5", "x", "9" * 5000])
async def test_a_horizon_outside_its_range_is_refused(analyst: httpx.AsyncClient, days: str) -> None:
    answer = await analyst.get(f"/v1/scores/{uuid4()}", params={"horizon_days": days})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "horizon_days"


async def test_a_score_grows_older_while_nothing_happens(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in (90, 60, 30)])
    before = await read(analyst, who)
    scoring.clock.advance(100 * DAY)
    after = await read(analyst, who)
    assert after["p_alive"] < before["p_alive"]
    assert after["as_of"] > before["as_of"]


async def test_loyalty_says_what_is_not_observed(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 90 * DAY), placed(who, NOW - 30 * DAY))
    loyalty = (await read(analyst, who))["loyalty"]
    observed = {each["code"]: each["observed"] for each in loyalty["indicators"]}
    assert observed["repeat_rate"]
    assert not observed["wallet_share"]
    assert loyalty["coverage"] == pytest.approx(0.4)
    assert 0 < loyalty["index"] < 100


async def test_progress_tells_up_to_which_event_the_score_counts(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 9 * DAY), placed(who, NOW - DAY), opened(who, NOW, kind="praise"))
    assert (await read(analyst, who))["progress"] == {"orders": 2, "service_desk": 1}


async def test_a_read_waits_for_the_write_it_was_told_of(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    waiting = asyncio.create_task(
        analyst.get(
            f"/v1/scores/{who}", headers={"Sync-Token": sync_token("orders", who, 2), "Prefer": "wait=10"}
        )
    )
    await scoring.tell(placed(who, NOW - 9 * DAY))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await scoring.tell(placed(who, NOW - DAY))
    answer = await waiting
    assert answer.json()["progress"]["orders"] == 2
    assert "Sync-Behind" not in answer.headers


async def test_a_read_that_cannot_wait_longer_says_how_far_behind_it_is(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    answer = await analyst.get(f"/v1/scores/{who}", headers={"Sync-Token": sync_token("orders", who, 7)})
    assert answer.status_code == 200
    assert answer.headers["Sync-Behind"] == f"orders:{who}=1; wanted=7"


async def test_tokens_of_services_that_are_not_followed_do_not_hold_a_read_up(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    answer = await analyst.get(
        f"/v1/scores/{who}", headers={"Sync-Token": "billing:x=1", "Prefer": "wait=30"}
    )
    assert answer.status_code == 200
    assert "Sync-Behind" not in answer.headers


async def test_a_customer_may_not_read_scores(scoring: Scoring) -> None:
    who = uuid4()
    caller = await scoring.caller("customer", customer_id=who)
    assert (await caller.get(f"/v1/scores/{who}")).status_code == 403


async def test_who_is_not_known_may_read_nothing(scoring: Scoring) -> None:
    caller = await scoring.caller(None)
    for path in (f"/v1/scores/{uuid4()}", "/v1/scores", "/v1/models", "/v1/models/0"):
        assert (await caller.get(path)).status_code == 401


async def test_an_engineer_may_not_read_scores(scoring: Scoring) -> None:
    caller = await scoring.caller("engineer")
    assert (await caller.get("/v1/scores")).status_code == 403


async def test_extreme_histories_give_finite_scores(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    often, huge, ancient, ahead = uuid4(), uuid4(), uuid4(), uuid4()
    await scoring.tell(*[placed(often, NOW - days * DAY) for days in range(900, 0, -1)])
    await scoring.tell(*[placed(huge, NOW - days * DAY, amount=10**15) for days in (30, 20, 10)])
    await scoring.tell(placed(ancient, NOW.replace(year=1901)))
    await scoring.tell(placed(ahead, NOW + DAY))
    for who in (often, huge, ancient, ahead):
        score = await read(analyst, who)
        assert 0 <= score["p_alive"] <= 1
        assert 0 <= score["churn"]["probability"] <= 1
        assert score["value_minor"] >= 0
    assert await scoring.look() == 4


async def test_many_who_read_at_once_are_each_told_of_their_own_customer(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    people = [uuid4() for _ in range(30)]
    for days, who in enumerate(people, start=1):
        await scoring.tell(placed(who, NOW - days * DAY), placed(who, NOW - 3 * days * DAY))
    await scoring.tell(opened(people[0], NOW - DAY))
    alone = [await read(analyst, who) for who in people]
    assert await asyncio.gather(*(read(analyst, who) for who in people)) == alone


async def test_whoever_asks_for_nobody_is_in_nobodys_way(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, nobody = uuid4(), uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    answers = await asyncio.gather(*(analyst.get(f"/v1/scores/{one}") for one in (who, nobody, who)))
    assert [answer.status_code for answer in answers] == [200, 404, 200]


async def test_a_reader_who_goes_away_is_in_nobodys_way(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    reads = [asyncio.create_task(analyst.get(f"/v1/scores/{who}")) for _ in range(3)]
    await asyncio.sleep(0)  # all are on their way
    reads[1].cancel()
    answers = [await reads[0], await reads[2]]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await analyst.get(f"/v1/scores/{who}")).status_code == 200


async def test_whoever_cannot_be_scored_is_in_nobodys_way(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, broken = uuid4(), uuid4()
    await scoring.tell(placed(who, NOW - DAY), placed(broken, NOW - DAY))
    state = encode(State(purchases=2, days=2))  # bought, but never for the first time
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_state SET state = $1 WHERE customer_id = $2", state, broken)
    reads = (analyst.get(f"/v1/scores/{one}") for one in (who, broken, who))
    answers = await asyncio.gather(*reads, return_exceptions=True)
    fine = [getattr(answer, "status_code", None) for answer in answers]
    assert (fine[0], fine[2]) == (200, 200)
    assert fine[1] != 200
