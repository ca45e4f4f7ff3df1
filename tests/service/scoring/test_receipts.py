"""Receipts over HTTP: they add up, cite events, and speak the reader's language."""

import math
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.service.scoring.conftest import NOW, Scoring, cancelled, created, opened, placed, resolved

DAY = timedelta(days=1)


async def get(caller: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    answer = await caller.get(
        path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert answer.status_code == 200, answer.text
    return answer


async def receipt(caller: httpx.AsyncClient, customer_id: object, query: str = "") -> dict[str, Any]:
    return dict((await get(caller, f"/v1/scores/{customer_id}/receipt{query}")).json())


def by_code(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["code"]: line for line in lines}


async def test_a_receipt_adds_up_to_the_score(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    complaint = opened(who, NOW - 20 * DAY)
    await scoring.tell(*[placed(who, NOW - days * DAY, days * 10) for days in (300, 200, 100, 40)], complaint)
    await scoring.tell(resolved(complaint, NOW - 10 * DAY, "mishandled"), opened(who, NOW - DAY))
    for query in ("", "?horizon_days=7"):
        score = dict((await get(analyst, f"/v1/scores/{who}{query}")).json())
        found = await receipt(analyst, who, query)
        churn, loyalty, value = found["churn"], found["loyalty"], found["value"]
        assert {**churn, "lines": None} == {**score["churn"], "lines": None}
        assert sum(line["contribution"] for line in churn["lines"]) == pytest.approx(
            churn["log_odds"], abs=1e-9
        )
        assert 1 / (1 + math.exp(-churn["log_odds"])) == pytest.approx(churn["probability"], abs=1e-9)
        assert sum(line["points"] for line in loyalty["lines"]) == pytest.approx(loyalty["index"], abs=1e-9)
        assert {name: loyalty[name] for name in ("index", "coverage", "weights_version")} == {
            name: score["loyalty"][name] for name in ("index", "coverage", "weights_version")
        }
        assert math.prod(line["value"] for line in value["lines"]) == pytest.approx(
            value["product_minor"], rel=1e-9
        )
        assert value["value_minor"] == score["value_minor"] == round(value["product_minor"])
        assert {name: found[name] for name in ("as_of", "model", "progress", "customer_id")} == {
            name: score[name] for name in ("as_of", "model", "progress", "customer_id")
        }
        assert found["unscored"] is None


async def test_each_line_cites_its_events_and_counts_those_it_does_not_list(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    bought = await scoring.tell(
        *[placed(who, NOW - days * DAY, 900 if days > 300 else 1000) for days in range(400, 0, -9)]
    )
    bad = [opened(who, NOW - days * DAY) for days in range(60, 40, -1)]
    heard = await scoring.tell(*bad)
    settled = await scoring.tell(*[resolved(one, NOW - 30 * DAY, "mishandled") for one in bad[:12]])
    found = await receipt(analyst, who)
    reasons, indicators = by_code(found["churn"]["lines"]), by_code(found["loyalty"]["lines"])
    ids = [one.headers["ce_id"] for one in reversed(bought)]
    assert reasons["silence"]["evidence"] == ids[:1]
    assert reasons["rhythm"]["evidence"] == ids[:10]
    assert (reasons["rhythm"]["evidence_total"], reasons["rhythm"]["evidence_more"]) == (45, "and 35 more")
    assert (
        reasons["complaint_open"]["evidence"]
        == [one.headers["ce_id"] for one in [*reversed(heard[12:]), *reversed(settled)]][:10]
    )
    assert reasons["complaint_open"]["evidence_total"] == 20
    assert (
        reasons["complaint_mishandled"]["evidence"]
        == [one.headers["ce_id"] for one in reversed(settled)][:10]
    )
    assert reasons["complaint_mishandled"]["evidence_more"] == "and 2 more"
    assert (reasons["base"]["evidence"], reasons["base"]["evidence_more"]) == ([], None)
    assert indicators["price_insensitivity"]["evidence"] == ids[-12:][:10], "those below the list price"
    assert indicators["price_insensitivity"]["evidence_total"] == 12
    assert indicators["fault_tolerance"]["evidence_total"] == 20
    assert not indicators["wallet_share"]["observed"]
    assert indicators["wallet_share"]["evidence"] == []


async def test_reasons_name_the_kind_of_loss_as_far_as_anything_tells(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in (90, 80, 70, 60)])
    complaint = opened(who, NOW - 20 * DAY)
    await scoring.tell(complaint, opened(who, NOW - DAY))
    await scoring.tell(resolved(complaint, NOW - 10 * DAY, "mishandled"))
    kinds = {line["code"]: line["kind"] for line in (await receipt(analyst, who))["churn"]["lines"]}
    assert kinds == {
        "complaint_open": "fault",
        "complaint_mishandled": "retaliatory",
        "silence": "unexplained",
        "rhythm": None,
        "base": "unexplained",
    }
    reasons = (await get(analyst, f"/v1/scores/{who}")).json()["reasons"]
    assert {reason["code"]: reason["kind"] for reason in reasons} == kinds


async def test_the_reader_chooses_the_language_and_the_codes_stay(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 105 * DAY), placed(who, NOW - 84 * DAY), placed(who, NOW - 63 * DAY))
    for path in (f"/v1/scores/{who}", f"/v1/scores/{who}/receipt"):
        texts, codes = {}, {}
        for wish, spoken in (
            ("en-GB, zh;q=0.5", "en"),
            ("fr, zh-CN;q=0.9, en;q=0.8", "zh-Hans"),
            ("fr", "en"),
            ("zh;q=9, ;;", "en"),
        ):
            answer = await get(analyst, path, Accept_Language=wish)
            assert answer.headers["Content-Language"] == spoken
            assert answer.headers["Vary"] == "Accept-Language"
            body = answer.json()
            lines = by_code(body["reasons"] if "reasons" in body else body["churn"]["lines"])
            texts[spoken] = lines["silence"]["text"]
            codes[wish] = [*lines]
        assert texts == {
            "en": "Last bought 63 days ago; this customer usually buys every 21 days.",
            "zh-Hans": "距上次购买已 63 天，而该客户通常每 21 天购买一次。",
        }
        assert len({tuple(each) for each in codes.values()}) == 1


async def test_without_a_purchase_that_counts_the_receipt_says_why_there_is_none(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    new, undone = uuid4(), uuid4()
    order = placed(undone, NOW - 9 * DAY)
    await scoring.tell(created(new), created(undone), order)
    await scoring.tell(cancelled(order, NOW - DAY))
    for who in (new, undone):
        found = await receipt(analyst, who)
        assert found["churn"] is found["loyalty"] is found["value"] is None
        assert found["unscored"]["code"] == "no_purchase_yet"
        assert "nothing was bought, or everything was cancelled" in found["unscored"]["text"]


async def test_a_receipt_of_a_past_instant_is_the_one_of_then(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 60 * DAY, 900), placed(who, NOW - 30 * DAY, 900))
    then = await receipt(analyst, who)
    scoring.clock.advance(10 * DAY)
    await scoring.tell(placed(who, NOW + 9 * DAY))
    reached = then["progress"]
    again = await get(
        analyst,
        f"/v1/scores/{who}/receipt?as_of={then['as_of']}&orders_seq={reached['orders']}"
        f"&service_desk_seq={reached['service_desk']}",
        Accept_Language="en",
    )
    assert again.json() == then
    assert (await receipt(analyst, who))["churn"] != then["churn"]


async def test_a_receipt_shows_itself_to_those_who_may_see_the_score(scoring: Scoring) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    assert (await (await scoring.caller(None)).get(f"/v1/scores/{who}/receipt")).status_code == 401
    assert (await (await scoring.caller("engineer")).get(f"/v1/scores/{who}/receipt")).status_code == 403
    analyst = await scoring.caller("analyst")
    assert (await analyst.get(f"/v1/scores/{uuid4()}/receipt")).status_code == 404
    assert (await analyst.get(f"/v1/scores/{who}/receipt?horizon_days=0")).status_code == 422


async def test_a_very_long_history_is_answered_with_a_receipt_of_few_events(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - timedelta(hours=n), 0) for n in range(3000, 0, -1)])
    found = await receipt(analyst, who)
    for line in [*found["churn"]["lines"], *found["loyalty"]["lines"], *found["value"]["lines"]]:
        assert len(line["evidence"]) <= 10
    assert by_code(found["churn"]["lines"])["rhythm"]["evidence_more"] == "and 2,990 more"
    assert found["value"]["value_minor"] >= 0
