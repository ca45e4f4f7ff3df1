"""Loyalty's trend over HTTP: against earlier instants, from the facts as they are known of then."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.service.scoring.conftest import NOW, Scoring, cancelled, created, opened, placed

DAY = timedelta(days=1)


async def read(caller: httpx.AsyncClient, who: object, query: str = "", **headers: str) -> dict[str, Any]:
    answer = await caller.get(f"/v1/scores/{who}/loyalty{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_customer_who_falls_silent_becomes_less_loyal_and_the_silence_is_why(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(500, 100, -20)])
    found = await read(analyst, who)
    score = (await analyst.get(f"/v1/scores/{who}")).json()
    for name in ("loyalty", "model", "progress", "as_of"):
        assert found[name] == score[name]
    quarter, year = found["trend"]
    assert (quarter["days_ago"], year["days_ago"]) == (90, 365)
    assert quarter["as_of"] == (NOW - 90 * DAY).isoformat().replace("+00:00", "Z")
    assert quarter["direction"] == year["direction"] == "falling"
    assert quarter["difference"] == pytest.approx(found["loyalty"]["index"] - quarter["index"])
    assert sum(change["points"] for change in quarter["changes"]) == pytest.approx(quarter["difference"])
    most = quarter["changes"][0]
    assert (most["code"], most["value_then"]) == ("time_of_buying", pytest.approx(20 / 30))
    assert most["value"] == pytest.approx(20 / 120)
    assert most["text"] == "The last purchase was 120 days ago, against a usual 20 days between purchases."
    sizes = [abs(change["points"]) for change in quarter["changes"]]
    assert sizes == sorted(sizes, reverse=True)
    assert quarter["text"].startswith("Loyalty has fallen from")
    assert "1 December 2025" in quarter["text"]


async def test_the_loyalty_of_then_is_what_the_score_of_then_says(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    first, late = placed(who, NOW - 400 * DAY), placed(who, NOW - 200 * DAY, 500)
    await scoring.tell(placed(who, NOW - 10 * DAY), opened(who, NOW - 30 * DAY), first)
    await scoring.tell(late)
    await scoring.tell(cancelled(first, NOW))
    found = await read(analyst, who, "?days_ago=1&days_ago=100&days_ago=250")
    for trend in found["trend"]:
        asked = {"as_of": trend["as_of"], "known": "now"}
        then = (await analyst.get(f"/v1/scores/{who}", params=asked)).json()["loyalty"]
        assert (trend["index"], trend["coverage"]) == (then["index"], then["coverage"])
    again = await read(analyst, who, f"?days_ago=99&known=now&as_of={found['trend'][0]['as_of']}")
    assert again["loyalty"]["index"] == found["trend"][0]["index"]
    assert again["trend"][0]["index"] == found["trend"][1]["index"]


async def test_evidence_that_was_missing_then_is_said_and_moves_the_index_only_by_what_it_tells(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 200 * DAY), opened(who, NOW - 20 * DAY, severity="critical"))
    (trend,) = (await read(analyst, who, "?days_ago=90"))["trend"]
    changes = {change["code"]: change for change in trend["changes"]}
    tolerance = changes["fault_tolerance"]
    assert (tolerance["value_then"], tolerance["value"]) == (None, pytest.approx(1 / 3))
    assert tolerance["text_then"].startswith("There was no complaint")
    assert set(changes) == {"fault_tolerance", "repeat_rate"}, "others were and are unknown, or the same"
    assert sum(change["points"] for change in trend["changes"]) == pytest.approx(trend["difference"])


async def test_where_nothing_had_been_bought_there_was_no_loyalty(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, nobody = uuid4(), uuid4()
    await scoring.tell(created(who), placed(who, NOW - 30 * DAY), created(nobody))
    for trend in (await read(analyst, who))["trend"]:
        assert trend["text"].startswith("By ")
        assert trend["changes"] == []
        assert not any(trend[name] for name in ("index", "coverage", "difference", "direction"))
    found = await read(analyst, nobody)
    assert (found["loyalty"], found["trend"]) == (None, [])
    assert found["unscored"]["code"] == "no_purchase_yet"


async def test_a_customer_who_goes_on_as_before_is_steady(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(2000, 0, -10)])
    (trend,) = (await read(analyst, who, "?days_ago=90"))["trend"]
    assert trend["direction"] == "steady"
    assert abs(trend["difference"]) < 1


async def test_it_is_told_in_chinese_too(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY) for days in range(500, 100, -20)])
    (trend,) = (await read(analyst, who, "?days_ago=90", **{"Accept-Language": "zh"}))["trend"]
    assert trend["text"].startswith("忠诚度已从2025年12月1日的")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("days_ago=0", "days_ago.0"),
        ("days_ago=90&days_ago=4000", "days_ago.1"),
        ("&".join(f"days_ago={n}" for n in range(1, 14)), "days_ago"),
        ("known=now", "known"),
    ],
)
async def test_what_cannot_be_compared_with_is_refused_by_field(
    scoring: Scoring, analyst: httpx.AsyncClient, query: str, field: str
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    answer = await analyst.get(f"/v1/scores/{who}/loyalty?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_customer_nobody_knows_is_not_found(analyst: httpx.AsyncClient) -> None:
    assert (await analyst.get(f"/v1/scores/{uuid4()}/loyalty")).status_code == 404
