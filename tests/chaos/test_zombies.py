"""Workers frozen at the worst points: a successor takes over, the zombie wakes; all counts once, in order."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.testing.waiting import until
from stack.process import Process
from tests.chaos import invariants, writers
from tests.chaos.system import System
from tests.chaos.test_chaos import TOPICS
from tests.chaos.writers import Client, Record

ROOT = Path(__file__).parents[2]
TAKEN_OVER_WITHIN = 90.0


@pytest.fixture(scope="module")
async def client(system: System) -> AsyncIterator[Client]:
    """A client with three customers, whose creation everybody knows of."""
    record = Record()
    async with writers.connected(system.fleet.urls, system.token, record) as found:
        for name in ("Ann", "Ben", "Cem"):
            if view := await found.post("customer", "/v1/customers", {"type": "person", "name": name}):
                record.keep("customers", view)
        yield found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", ["before-compare-and-set", "after-compare-and-set", "after-commit"])
async def test_a_consumer_frozen_there_counts_nothing_twice(
    system: System, client: Client, point: str
) -> None:
    zombie, _ = await _take_over_from(system, client, point, "scoring")
    await until(lambda: _share(system), TAKEN_OVER_WITHIN)
    if point != "after-commit":
        assert await _says(zombie, "fenced", "consumer waits")  # its transaction was taken from it
    await _check(system, client)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", ["before-send", "after-send"])
async def test_a_relay_frozen_there_sends_again_but_loses_and_reorders_nothing(
    system: System, client: Client, point: str
) -> None:
    zombie, repeated = await _take_over_from(system, client, point, "orders")
    await until(lambda: _says(zombie, "relay lease lost", "relay waits"), TAKEN_OVER_WITHIN)
    assert await _check(system, client) > repeated


async def _take_over_from(system: System, client: Client, point: str, service: str) -> tuple[Process, int]:
    """A worker freezes at the point amid its work, a successor finishes it, the zombie wakes, work goes on.

    Answers the zombie, and how many records of the log repeated another before.
    """
    zombie, successor = (system.fleet.processes[f"{service}.{role}"] for role in ("worker", "worker-2"))
    repeated = invariants.repeated(await invariants.read_log(system.bootstrap, TOPICS))
    await zombie.stop()
    await successor.stop()
    with _sabotaged(zombie, point):
        await zombie.start()
    await _write(client)
    await until(lambda: _is_frozen(zombie), TAKEN_OVER_WITHIN)
    await successor.start()
    await _write(client)
    await until(lambda: invariants.quiet(system.databases, system.bootstrap), TAKEN_OVER_WITHIN)
    zombie.resume()
    await _write(client)
    return zombie, repeated


async def _write(client: Client) -> None:
    """Two orders and two complaints of each customer, all at once; the first orders are cancelled."""

    async def of(customer_id: str) -> None:
        record = client.record
        lines = [{"product_id": str(product), "quantity": 2} for product in list(record.products)[:2]]
        order = {"customer_id": customer_id, "lines": lines, "channel": "store"}
        ticket = {"customer_id": customer_id, "kind": "complaint", "subject": "late", "severity": "major"}
        placed = [await client.post("orders", "/v1/orders", order) for _ in range(2)]
        opened = [await client.post("service-desk", "/v1/tickets", ticket) for _ in range(2)]
        for kind, views in (("orders", placed), ("tickets", opened)):
            for view in views:
                assert view is not None
                record.keep(kind, view)
        if placed[0] and (view := await client.post("orders", f"/v1/orders/{placed[0]['id']}/cancel")):
            record.keep("orders", view)

    await asyncio.gather(*(of(str(customer_id)) for customer_id in client.record.customers))


async def _check(system: System, client: Client) -> int:
    """All invariants, once quiet; answers how many records of the log repeat another."""
    await until(lambda: invariants.quiet(system.databases, system.bootstrap), TAKEN_OVER_WITHIN)
    wrong, log = await invariants.everything(system.databases, system.bootstrap, TOPICS, client.record)
    assert wrong == {}
    return invariants.repeated(log)


@contextmanager
def _sabotaged(process: Process, point: str) -> Iterator[None]:
    """Its next start freezes at the point, once; starts after the block are as ever."""
    command, environment = process.command, process.environment
    package, *rest = command[command.index("-m") + 1 :]
    process.command = [sys.executable, "-m", "tests.chaos.sabotage", point, package, *rest]
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    process.environment = {**environment, "PYTHONPATH": path}
    try:
        yield
    finally:
        process.command, process.environment = command, environment


async def _is_frozen(process: Process) -> bool:
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]  # noqa: ASYNC240
    return state == "T"


async def _says(process: Process, *words: str) -> bool:
    return any(word in process.tail(1000) for word in words)


async def _share(system: System) -> bool:
    """Whether both workers of scoring have partitions."""
    async with invariants.connected({"scoring": system.databases["scoring"]}) as connections:
        owners = await connections["scoring"].fetchval("SELECT count(DISTINCT owner) FROM consumer_offset")
    return bool(owners == 2)
