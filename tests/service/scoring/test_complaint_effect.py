"""What complaints do: assumed at first, then estimated, shown with evidence, served where that is clear."""

from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from scoring.app import SERVICE
from scoring.care.domain import PUBLISHED
from scoring.models import complaint_fit
from scoring.models.complaints import PHASES
from shared.service import api
from shared.testing.http import client
from tests.service.scoring.conftest import NOW, Scoring, fit, opened, read, resolved

DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("quick_pages")


async def test_a_clear_effect_of_complaints_is_served_with_its_evidence_and_scores_add_up_and_come_again(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints = [opened(each, NOW - timedelta(days=at)) for each in buyers for at in (3, 150, 260)]
    await scoring.tell(*complaints, *(resolved(c, NOW - DAY, "mishandled") for c in complaints[::4]))
    monkeypatch.setattr(complaint_fit, "SIGNIFICANT", 2.0)  # whatever they say, it is clear
    assert (await fit(analyst))["state"] == "served"
    read = (await analyst.get("/v1/models/1")).json()
    effect = read["complaint_effect"]
    assert effect["used"]
    assert effect["complaints"] >= 300
    assert effect["why"] == "there are enough complaints, and clearly they have an effect"
    assert read["parameters"]["complaints"] == effect["gamma"]
    assert effect["gamma"].keys() == effect["standard_errors"].keys() >= {"open", "coming_after_death"}
    for who in buyers[:5]:
        score = (await analyst.get(f"/v1/scores/{who}")).json()
        told = {reason["code"]: reason for reason in score["reasons"]}
        assert sum(reason["contribution"] for reason in told.values()) == pytest.approx(
            score["churn"]["log_odds"], abs=1e-9
        )
        assert told["complaint_voiced"]["evidence"]
        receipt = (await analyst.get(f"/v1/scores/{who}/receipt")).json()
        assert {line["code"] for line in receipt["churn"]["lines"]} == told.keys()
        again = (
            await analyst.get(f"/v1/scores/{who}", params={"as_of": score["as_of"], "known": "now"})
        ).json()
        assert again["churn"] == score["churn"]
        assert again["p_alive"] == score["p_alive"]


async def test_an_unclear_effect_of_complaints_is_in_the_report_and_not_served_but_what_they_tell_is(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    await scoring.tell(*(opened(each, NOW - timedelta(days=at)) for each in buyers for at in (3, 150)))
    monkeypatch.setattr(complaint_fit, "SIGNIFICANT", 0.0)  # whatever they say, it is not clear
    effect = (await fit(analyst))["complaint_effect"]
    assert not effect["used"]
    assert effect["why"].startswith("p = ")
    read = (await analyst.get("/v1/models/1")).json()
    in_use, assumed = read["parameters"]["complaints"], asdict(PUBLISHED.model.gamma)
    assert {phase: in_use[phase] for phase in PHASES} == {phase: assumed[phase] for phase in PHASES}
    assert in_use["coming_after_death"] < 1
    score = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()
    assert "complaint_voiced" in {reason["code"] for reason in score["reasons"]}
    page = await analyst.get("/v1/models/1/report")
    assert "What complaints do" in page.text


async def test_what_complaints_are_assumed_to_do_is_the_deployment_s_own(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"open": 3.0, "mishandled": 2.5, "recovered": 1.0}
    settings = scoring.settings.model_copy(
        update={f"assumed_effect_{phase}": value for phase, value in mine.items()}
    )
    complaints = [opened(each, NOW - at * DAY) for each in buyers for at in (9, 30)]
    await scoring.tell(opened(buyers[0], NOW - DAY), *complaints)
    by_default = await read(analyst, buyers[0])
    async with client(api(SERVICE, settings, scoring.clock), "analyst") as caller:

        async def assumed(version: int) -> dict[str, float]:
            told = (await caller.get(f"/v1/models/{version}")).json()["parameters"]["complaints"]
            return {phase: told[phase] for phase in mine}

        assert await assumed(0) == mine, "before any fit"
        assert (await read(caller, buyers[0]))["p_alive"] < by_default["p_alive"]
        monkeypatch.setattr(complaint_fit, "SIGNIFICANT", 0.0)  # whatever they say, it is not clear
        fitted = await fit(caller)
        assert not fitted["complaint_effect"]["used"]
        assert await assumed(1) == mine
    assert (await analyst.get("/v1/models/1")).json()["parameters"]["complaints"]["open"] == 3.0, "kept"
