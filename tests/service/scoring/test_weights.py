"""Loyalty weights: read, set as a new version, named by every score, and kept for the past."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from scoring.bands.handlers import score_outdated
from tests.service.scoring.conftest import NOW, Scoring, placed

DAY = timedelta(days=1)
PATH = "/v1/loyalty-weights"


async def read(caller: httpx.AsyncClient, path: str = PATH) -> dict[str, Any]:
    answer = await caller.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    return dict(answer.json())


async def put(caller: httpx.AsyncClient, weights: dict[str, Any], version: int = 1) -> httpx.Response:
    return await caller.put(PATH, json=weights, headers={"If-Match": f'"{version}"'})


async def test_until_any_are_set_the_first_ones_serve(analyst: httpx.AsyncClient) -> None:
    first = await read(analyst)
    assert (first["version"], first["valid_from"], first["set_by"]) == (1, None, None)
    assert sum(first["weights"].values()) == pytest.approx(1)
    assert await read(analyst, f"{PATH}/1") == first


async def test_scores_follow_new_weights_and_name_their_version(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 90 * DAY), placed(who, NOW - 60 * DAY), placed(who, NOW - 30 * DAY))
    before = (await analyst.get(f"/v1/scores/{who}")).json()
    weights = (await read(analyst))["weights"] | {"time_of_buying": 1.0}
    scoring.clock.advance(DAY)
    answer = await put(analyst, weights)
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 2
    assert answer.json()["weights"] == weights
    after = (await analyst.get(f"/v1/scores/{who}")).json()
    assert (before["loyalty"]["weights_version"], after["loyalty"]["weights_version"]) == ("1", "2")
    assert after["loyalty"]["index"] > before["loyalty"]["index"]
    assert after["loyalty"]["coverage"] > before["loyalty"]["coverage"]
    assert await read(analyst) == await read(analyst, f"{PATH}/2") == answer.json()
    then = await analyst.get(
        f"/v1/scores/{who}?as_of={before['as_of']}&model_version=0&orders_seq=3&service_desk_seq=0"
    )
    assert then.json() == before, "what was served can be proven with the weights of then"


async def test_lists_follow_new_weights_and_name_their_version(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    people = [uuid4() for _ in range(3)]
    await scoring.tell(*[placed(who, NOW - days * DAY) for who in people for days in (90, 60, 30)])
    await scoring.look()
    weights = (await read(analyst))["weights"] | {"time_of_buying": 1.0}
    before = (await analyst.get("/v1/scores")).json()["items"]
    await put(analyst, weights)
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 3
    assert await score_outdated(scoring.db, scoring.clock, scoring.settings) == 0
    after = (await analyst.get("/v1/scores")).json()["items"]
    assert [row["weights_version"] for row in (*before, *after)] == ["1", "1", "1", "2", "2", "2"]
    assert all(then["loyalty"] < now["loyalty"] for then, now in zip(before, after, strict=True))


async def test_setting_what_is_set_changes_nothing(analyst: httpx.AsyncClient) -> None:
    weights = (await read(analyst))["weights"]
    assert (await put(analyst, weights)).json()["version"] == 1
    assert (await read(analyst))["version"] == 1


async def test_a_change_names_the_version_it_was_decided_from(analyst: httpx.AsyncClient) -> None:
    weights = (await read(analyst))["weights"] | {"referrals": 0.5}
    assert (await analyst.put(PATH, json=weights)).status_code == 428
    assert (await put(analyst, weights)).status_code == 200
    stale = await put(analyst, weights | {"referrals": 0.6})
    assert stale.status_code == 412
    assert stale.json()["current"]["weights"]["referrals"] == 0.5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"repeat_rate": 0}, "repeat_rate"),
        ({"affection": -0.1}, "affection"),
        ({"affection": 1.1}, "affection"),
        ({"affection": "0.1"}, "affection"),
        ({"affection": None}, "affection"),
        ({"charm": 0.1}, "charm"),
    ],
)
async def test_weights_that_break_a_rule_are_refused(
    analyst: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    answer = await put(analyst, (await read(analyst))["weights"] | change)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_every_weight_is_stated(analyst: httpx.AsyncClient) -> None:
    weights = (await read(analyst))["weights"]
    del weights["affection"]
    answer = await put(analyst, weights)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "affection"


async def test_who_may_not_fit_models_may_only_read_weights(scoring: Scoring) -> None:
    agent = await scoring.caller("agent")
    weights = (await read(agent))["weights"]
    assert (await put(agent, weights)).status_code == 403
    assert (await (await scoring.caller(None)).get(PATH)).status_code == 401


async def test_weights_nobody_set_are_not_found(analyst: httpx.AsyncClient) -> None:
    assert (await analyst.get(f"{PATH}/2")).status_code == 404
    assert (await analyst.get(f"{PATH}/0")).status_code == 422
