"""Models: the published prior, fitting by command and on schedule, one at a time."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.care import handlers, store
from scoring.rebuilding import store as rebuilding
from shared.db import Database
from shared.events.scoring import ModelFitted
from shared.web.concurrency import etag
from tests.service.scoring.conftest import NOW, Scoring, created, placed

DAY = timedelta(days=1)


@pytest.fixture
async def buyers(scoring: Scoring) -> list[UUID]:
    """Eighty customers who buy at different rates."""
    dice, who = Random(7), [uuid4() for _ in range(80)]
    for each in who:
        await scoring.tell(created(each))
        days: list[float] = []
        at = 400.0
        while at > 0 and (dice.random() < 0.8 or not days):
            days.append(at)
            at -= dice.expovariate(1 / 40)
        await scoring.tell(*[placed(each, NOW - d * DAY, dice.randint(500, 5000)) for d in days])
    return who


async def test_before_any_fit_the_published_prior_is_served(analyst: httpx.AsyncClient) -> None:
    (model,) = (await analyst.get("/v1/models")).json()["items"]
    assert (model["version"], model["prior_driven"], model["fitted_at"]) == (0, True, None)
    assert model["parameters"]["purchase"]["alpha"] == pytest.approx(10.578)


async def test_a_fit_is_stored_served_and_told(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    answer = await analyst.post("/v1/models/fit", json={})
    assert answer.status_code == 201, answer.text
    model = answer.json()
    assert model["version"] == 1
    assert model["customers"] == 80
    assert model["repeat_buyers"] > 50
    assert not model["prior_driven"]
    assert set(model["standard_errors"]) == {"purchase", "spend"}
    assert len(model["rate_quantiles"]) == 101
    assert answer.headers["Location"] == "/v1/models/1"
    assert answer.headers["ETag"] == etag(1)
    (told,) = await scoring.events("patron.scoring.reference")
    assert told == ModelFitted(
        model="pareto_nbd-1",
        fitted_at=NOW,
        customers=80,
        repeat_buyers=model["repeat_buyers"],
        prior_driven=False,
    )
    read = await analyst.get("/v1/models/1")
    assert read.json() == model
    score = (await analyst.get(f"/v1/scores/{buyers[0]}")).json()
    assert score["model"]["version"] == 1


async def test_a_fit_to_few_customers_says_that_it_is_prior_driven(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 9 * DAY), placed(who, NOW - DAY))
    assert (await analyst.post("/v1/models/fit")).json()["prior_driven"]


async def test_a_fit_to_customers_who_bought_once_works(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 9 * DAY))
    model = (await analyst.post("/v1/models/fit")).json()
    assert model["repeat_buyers"] == 0
    assert (await analyst.get(f"/v1/scores/{who}")).json()["value_minor"] > 0


async def test_only_one_model_is_fitted_at_a_time(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    async with store.alone(scoring.db):
        assert (await analyst.post("/v1/models/fit")).status_code == 409
    assert (await analyst.post("/v1/models/fit")).status_code == 201


async def test_a_fit_repeated_with_its_key_is_answered_alike(
    scoring: Scoring, analyst: httpx.AsyncClient, buyers: list[UUID]
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await analyst.post("/v1/models/fit", headers=headers)
    second = await analyst.post("/v1/models/fit", headers=headers)
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(await scoring.events("patron.scoring.reference")) == 1


async def test_models_are_listed_newest_first(analyst: httpx.AsyncClient, buyers: list[UUID]) -> None:
    for _ in range(2):
        assert (await analyst.post("/v1/models/fit")).status_code == 201
    versions, cursor = [], None
    while True:
        page = (
            await analyst.get("/v1/models", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))
        ).json()
        versions += [model["version"] for model in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert versions == [2, 1, 0]


@pytest.mark.parametrize("version", ["7", "-1", "x", "99999999999999999999"])
async def test_an_unknown_model_is_not_found_or_refused(analyst: httpx.AsyncClient, version: str) -> None:
    assert (await analyst.get(f"/v1/models/{version}")).status_code in (404, 422)


async def test_sales_may_not_fit(scoring: Scoring) -> None:
    caller = await scoring.caller("sales")
    answer = await caller.post("/v1/models/fit")
    assert answer.status_code == 403
    assert answer.json()["missing_scope"] == "scores:fit"


async def test_the_worker_fits_when_the_model_is_old(scoring: Scoring, buyers: list[UUID]) -> None:
    async def latest() -> int:
        return int(await scoring.value("SELECT coalesce(max(version), 0) FROM fitted_model"))

    async def work_until(version: int) -> None:
        jobs = [
            asyncio.create_task(handlers.refit_on_schedule(scoring.db, scoring.clock, scoring.settings))
            for _ in range(2)
        ]
        try:
            async with asyncio.timeout(20):
                while await latest() < version:  # noqa: ASYNC110  (the workers tell nobody but the database)
                    await asyncio.sleep(0.02)
        finally:
            for job in jobs:
                job.cancel()
                with suppress(asyncio.CancelledError):
                    await job

    await work_until(1)
    scoring.clock.advance(timedelta(hours=25))
    await work_until(2)
    assert await latest() == 2


@pytest.mark.parametrize("alone", [store.alone, rebuilding.alone], ids=["fit", "rebuild"])
async def test_who_is_stopped_while_letting_go_leaves_nobody_locked_out(
    scoring: Scoring, alone: Callable[[Database], AbstractAsyncContextManager[object]]
) -> None:
    async def act(entered: asyncio.Event) -> None:
        async with alone(scoring.db):
            entered.set()

    for turns in range(6):
        entered = asyncio.Event()
        acting = asyncio.create_task(act(entered))
        await entered.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        acting.cancel()
        with suppress(asyncio.CancelledError):
            await acting
    locks = """
        SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.locktype = 'advisory'
    """
    async with asyncio.timeout(5):
        while await scoring.value(locks):  # noqa: ASYNC110  (until the server has seen a connection end)
            await asyncio.sleep(0.02)
