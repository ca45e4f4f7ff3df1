"""Scores of a past instant: as they were then known, as they are now known to have been, and proven again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.service.scoring.conftest import Scoring, cancelled, created, opened, placed, resolved

DAY = timedelta(days=1)


@pytest.fixture
def scoring(scoring: Scoring) -> Scoring:
    """What is known from when on is by the database's clock, so that these tests live in the present."""
    scoring.clock.at = datetime.now(UTC)
    return scoring


async def moment(scoring: Scoring) -> datetime:
    """An instant after all that was told, by the database's clock."""
    now: datetime = await scoring.value("SELECT clock_timestamp()")
    scoring.clock.at = max(scoring.clock.at, now)
    return now


async def read(caller: httpx.AsyncClient, customer_id: object, **query: Any) -> dict[str, Any]:
    answer = await caller.get(f"/v1/scores/{customer_id}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def said(score: dict[str, Any]) -> dict[str, Any]:
    """What a score says of the customer, without the band, which has a memory."""
    figures = {
        name: score[name] for name in ("p_alive", "expected_purchases", "value_minor", "reasons", "as_of")
    }
    return figures | {"churn": score["churn"]["probability"], "loyalty": score["loyalty"]}


async def test_a_late_purchase_was_not_known_then_and_is_now_known_to_have_been(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, today = uuid4(), scoring.clock.at
    await scoring.tell(placed(who, today - 90 * DAY))
    before = await moment(scoring)
    await scoring.tell(placed(who, today - 30 * DAY))
    await moment(scoring)
    then, true = [await read(analyst, who, as_of=before.isoformat(), known=by) for by in ("then", "now")]
    assert then["progress"]["orders"] == 1
    assert true["progress"]["orders"] == 2
    assert then["p_alive"] < true["p_alive"]


async def test_a_cancelled_purchase_counted_until_it_was_cancelled(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, today = uuid4(), scoring.clock.at
    first, second = placed(who, today - 90 * DAY), placed(who, today - 10 * DAY)
    await scoring.tell(first, second)
    with_both = await moment(scoring)
    scoring.clock.at = today + DAY
    await scoring.tell(cancelled(second, today + DAY))
    scoring.clock.at = today + 2 * DAY
    for by in ("then", "now"):
        assert len((await read(analyst, who, as_of=with_both.isoformat(), known=by))["reasons"]) > 1
    long_ago = today - 20 * DAY
    past = await read(analyst, who, as_of=long_ago.isoformat(), known="now")
    silence = next(reason for reason in past["reasons"] if reason["code"] == "silence")
    assert len(silence["evidence"]) == 1
    lost = await analyst.get(f"/v1/scores/{who}", params={"as_of": long_ago.isoformat()})
    assert lost.status_code == 404, "nothing was known then"
    assert "known=now" in lost.json()["detail"]


async def test_who_was_not_there_yet_is_told_so_and_not_advised_to_ask_as_was_asked(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, today = uuid4(), scoring.clock.at
    await scoring.tell(placed(who, today - 90 * DAY))
    before = (today - 100 * DAY).isoformat()
    for path in ("", "/receipt"):
        early = await analyst.get(f"/v1/scores/{who}{path}", params={"as_of": before, "known": "now"})
        assert early.status_code == 404
        assert "was not there yet" in early.json()["detail"]
        assert "known=now" not in early.json()["detail"]
        nobody = await analyst.get(f"/v1/scores/{uuid4()}{path}", params={"as_of": before, "known": "now"})
        assert nobody.status_code == 404
        assert "is known here" in nobody.json()["detail"]


async def test_a_complaint_since_resolved_was_open(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who, today = uuid4(), scoring.clock.at
    complaint = opened(who, today - 20 * DAY)
    await scoring.tell(placed(who, today - 60 * DAY), placed(who, today - 40 * DAY), complaint)
    await scoring.tell(resolved(complaint, today - 5 * DAY, "recovered"))
    codes = {}
    for days in (30, 10, 1):
        past = await read(analyst, who, as_of=(today - days * DAY).isoformat(), known="now")
        codes[days] = {reason["code"] for reason in past["reasons"]} & {
            "complaint_open",
            "complaint_recovered",
        }
    assert codes == {30: set(), 10: {"complaint_open"}, 1: {"complaint_open", "complaint_recovered"}}


async def test_any_served_score_comes_again_from_its_own_progress(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, today = uuid4(), scoring.clock.at
    order, complaint = placed(who, today - 90 * DAY), opened(who, today - 20 * DAY)
    steps = (
        [created(who), order],
        [complaint, placed(who, today - 50 * DAY)],
        [resolved(complaint, today - 5 * DAY, "mishandled")],
        [cancelled(order, today)],
    )
    served = []
    for step in steps:
        await scoring.tell(*step)
        served.append(await read(analyst, who))
    for score in served:
        again = await read(
            analyst, who, as_of=score["as_of"], model_version=score["model"]["version"],
            orders_seq=score["progress"]["orders"], service_desk_seq=score["progress"]["service_desk"],
        )  # fmt: skip
        assert said(again) == said(score)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"known": "now"}, "known"),
        ({"orders_seq": 1}, "orders_seq"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of"),
        ({"as_of": "2026-01-01T00:00:00Z", "orders_seq": 1}, "service_desk_seq"),
        ({"as_of": "2026-01-01T00:00:00Z", "orders_seq": 1, "service_desk_seq": 0, "known": "now"}, "known"),
        ({"as_of": "yesterday"}, "as_of"),
    ],
)
async def test_a_question_that_contradicts_itself_is_refused_by_field(
    scoring: Scoring, analyst: httpx.AsyncClient, query: dict[str, Any], field: str
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, scoring.clock.at - DAY))
    answer = await analyst.get(f"/v1/scores/{who}", params=query)
    assert answer.status_code == 422
    assert field in str(answer.json()["errors"])
