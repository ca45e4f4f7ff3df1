"""Faults of every kind under concurrent writes, then the books are checked: FAULTS=20 SEED=1 make chaos."""

import asyncio
import os
import time
from contextlib import suppress

import asyncpg
import pytest

from shared.testing.waiting import until
from stack.topics import PUBLISHERS
from tests.chaos import invariants, report
from tests.chaos.faults import Chaos, schedule
from tests.chaos.system import System
from tests.chaos.writers import Record, connected, writing

FAULTS = int(os.environ.get("FAULTS", "20"))
SEED = int(os.environ.get("SEED", "1"))
TOPICS = [f"patron.{publisher}{kind}" for publisher in PUBLISHERS for kind in ("", ".reference")]
QUIET_WITHIN = 120.0


def test_the_same_seed_gives_the_same_faults_and_every_kind() -> None:
    processes = ["orders.api", "orders.worker", "scoring.worker-2"]
    assert schedule(7, 40, processes) == schedule(7, 40, processes) != schedule(8, 40, processes)
    assert len({fault.kind for fault in schedule(1, 20, processes)}) == 13


@pytest.mark.timeout(600 + 30 * FAULTS)
async def test_nothing_is_lost_doubled_or_reordered_whatever_breaks(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    with capfd.disabled():  # faults and table are for whoever looks on
        wrong, deaths = await _suffer(system)
    assert wrong == {}
    assert deaths == []


async def _suffer(system: System) -> tuple[dict[str, list[str]], list[str]]:
    """All faults under writes; answers what is wrong in the end, and who died unasked."""
    began = time.monotonic()
    record, chaos, arrivals = Record(), Chaos(system), list[float]()
    faults = schedule(SEED, FAULTS, sorted(system.fleet.processes))
    watch = asyncio.create_task(_note_arrivals(system.databases["scoring"], arrivals))
    async with connected(system.fleet.urls, system.token, record) as client, writing(client, seed=SEED):
        await chaos.run(faults, report.tell)
    last_repair = time.monotonic()
    with suppress(TimeoutError):  # what is not quiet by then is found below
        await until(lambda: invariants.quiet(system.databases, system.bootstrap), QUIET_WITHIN)
    settled = time.monotonic()
    watch.cancel()
    wrong, log = await invariants.everything(system.databases, system.bootstrap, TOPICS, record)
    report.table(
        faults,
        record,
        arrivals,
        {
            "seed": SEED,
            "faults": len(faults),
            "requests": record.requests,
            "of these retries": record.retries,
            "acknowledged": len(record.acknowledged),
            "orders": len(record.orders),
            "tickets": len(record.tickets),
            "events in the log": len(log) - invariants.repeated(log),
            "duplicates in the log": invariants.repeated(log),
            "from the last write to quiet": f"{settled - last_repair:.1f} s",
            "total time": f"{time.monotonic() - began:.0f} s",
            "violations": sum(map(len, wrong.values())),
        },
    )
    return wrong, chaos.deaths


async def _note_arrivals(url: str, arrivals: list[float]) -> None:
    """When scoring took in something, as far as it can be seen from outside."""
    seen = 0
    while True:
        with suppress(Exception):  # whatever a database says that is being killed
            connection = await asyncpg.connect(url, timeout=2)
            try:
                while True:
                    found = await connection.fetchval(
                        "SELECT coalesce(sum(last_seq), 0)::bigint FROM stream_progress", timeout=2
                    )
                    if found > seen:
                        arrivals.append(time.monotonic())
                        seen = found
                    await asyncio.sleep(0.05)
            finally:
                connection.terminate()
        await asyncio.sleep(0.05)
