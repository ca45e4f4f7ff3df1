"""A rebuild is asked for once, and ends: done, given up, or as it cannot be done."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.rebuilding import handlers, mending, replay, shadow
from scoring.rebuilding.handlers import rebuild, rebuild_on_request
from scoring.rebuilding.store import ask, cancel
from shared.db import Tx
from shared.testing.waiting import until
from tests.service.scoring.conftest import (
    NOW,
    Scoring,
    placed,
)
from tests.service.scoring.rebuilds import consuming, counted, interrupted, lives, publish, rebuilt

pytestmark = pytest.mark.usefixtures("replayed")


# The record before the next is then not the one that is remembered.
ANOTHER_LOG = "UPDATE rebuild.consumer_offset SET next_offset = next_offset - 1 WHERE next_offset > 1"


async def test_a_rebuild_of_a_log_that_is_another_now_fails_and_says_so(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = uuid4()
    await publish(scoring, lives(scoring, [who]))
    async with consuming(scoring):
        await until(lambda: counted(scoring, who, 5))
        await interrupted(scoring, monkeypatch)
        async with scoring.db.tx() as tx:
            await tx.execute(ANOTHER_LOG)
        run = await rebuilt(scoring)
        assert run.phase == "failed"
        assert "cut or made anew" in (run.problem or "")
        assert (await rebuilt(scoring)).phase == "done", "another one begins anew"
    assert await scoring.states_are_their_facts()


async def test_a_rebuild_is_given_up_by_one_request_and_nothing_of_it_is_left(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = uuid4()
    await publish(scoring, lives(scoring, [who]))
    admin = await scoring.caller("administrator")
    async with consuming(scoring):
        await until(lambda: counted(scoring, who, 5))
        await interrupted(scoring, monkeypatch)
        (run,) = (await admin.get("/v1/rebuilds")).json()["items"]
        assert run["phase"] == "replaying"
        for _ in "12":  # twice is once
            answer = await admin.post(f"/v1/rebuilds/{run['id']}/cancel")
            assert (answer.status_code, answer.json()["phase"]) == (200, "cancelled")
        await rebuild(scoring.db, scoring.settings, UUID(run["id"]))  # by the worker that was at it
        assert await scoring.value("SELECT to_regnamespace('rebuild') IS NULL")
        again = await rebuilt(scoring)
    assert (str(again.id) != run["id"], again.phase) == (True, "done")
    refused = await admin.post(f"/v1/rebuilds/{again.id}/cancel")
    assert refused.status_code == 409
    assert "is done" in refused.json()["detail"]
    assert (await admin.post(f"/v1/rebuilds/{uuid4()}/cancel")).status_code == 404


async def test_what_is_left_of_a_rebuild_given_up_while_no_worker_ran_is_cleared_away(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scoring.db.tx() as tx:
        await shadow.create(tx, anew=True)
        run = await ask(tx, "ann", NOW)
        await cancel(tx, run.id, "bob", NOW)
    worker = asyncio.create_task(rebuild_on_request(scoring.db, scoring.clock, scoring.settings))

    async def gone() -> bool:
        return bool(await scoring.value("SELECT to_regnamespace('rebuild') IS NULL"))

    await until(gone)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert await scoring.value("SELECT problem FROM rebuild_run") == "cancelled by bob"


async def test_a_rebuild_whose_processes_have_ended_holds_nobody_up(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, started, compare = uuid4(), list[Process](), mending.compare

    @asynccontextmanager
    async def noted(*told: str) -> AsyncIterator[list[Process]]:
        async with replay.replaying(*told) as processes:
            started.extend(processes)
            yield processes

    async def killed(tx: Tx) -> None:
        for process in started:
            process.kill()
            await process.wait()
        await publish(scoring, scoring.incoming(placed(who, NOW)))
        await until(lambda: counted(scoring, who, 6))
        await compare(tx)

    await publish(scoring, lives(scoring, [who]))
    async with consuming(scoring):
        await until(lambda: counted(scoring, who, 5))
        with monkeypatch.context() as patched:
            patched.setattr(handlers, "replaying", noted)
            patched.setattr(mending, "compare", killed)
            with pytest.raises(RuntimeError, match="a process of the replay has ended"):
                await rebuilt(scoring)
        assert (await rebuilt(scoring)).phase == "done"


async def test_a_rebuild_is_asked_for_once_and_only_by_those_who_may(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    assert (await analyst.post("/v1/rebuilds")).status_code == 403
    admin = await scoring.caller("administrator")
    first, second = await admin.post("/v1/rebuilds"), await admin.post("/v1/rebuilds")
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert (await admin.get(first.headers["Location"])).json()["phase"] == "waiting"
    assert [run["id"] for run in (await admin.get("/v1/rebuilds")).json()["items"]] == [first.json()["id"]]
    assert (await admin.get(f"/v1/rebuilds/{uuid4()}")).status_code == 404
