"""(c) From the answer to an order to a score that has counted it, at a steady 200 orders a second."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from uuid import UUID

from rich.table import Table

import stack
from tests.bench.load import Connection, Measured, request
from tests.bench.world import World, customers_and_product

RATE, SECONDS, CONNECTIONS = 200, 20, 24


async def run(world: World) -> Table:
    """An open loop: orders are sent when they are due, whatever became of those before."""
    async with stack.services(world.directory, world.backing) as fleet:
        ids, product = await customers_and_product(fleet, world.token)
        token = world.token
        due: asyncio.Queue[int] = asyncio.Queue()
        placing, reading = Measured(), Measured()

        async def client() -> None:
            orders = await Connection.open(fleet.urls["orders"])
            scoring = await Connection.open(fleet.urls["scoring"])
            while (n := await due.get()) >= 0:
                await _one(orders, scoring, ids[n % len(ids)], product, token, placing, reading)
            orders.close()
            scoring.close()

        clients = [asyncio.create_task(client()) for _ in range(CONNECTIONS)]
        async for n in _ticks():
            due.put_nowait(n)
        for _ in clients:
            due.put_nowait(-1)
        await asyncio.gather(*clients)
    table = Table(
        "", "p50 ms", "p99 ms", "n", "failed", title=f"(c) freshness at {RATE} orders/s, all on this machine"
    )
    for name, found in (("order placed", placing), ("answer → score has counted it", reading)):
        table.add_row(
            name,
            f"{found.percentile(50):.1f}",
            f"{found.percentile(99):.1f}",
            f"{len(found.latencies):,}",
            str(len(found.failures)),
        )
    table.add_row("aim for the second", "50", "250", "", "")
    return table


async def _ticks() -> AsyncIterator[int]:
    started = time.perf_counter()
    for n in range(RATE * SECONDS):
        await asyncio.sleep(max(0.0, started + n / RATE - time.perf_counter()))
        yield n


async def _one(
    orders: Connection,
    scoring: Connection,
    customer: UUID,
    product: str,
    token: str,
    placing: Measured,
    reading: Measured,
) -> None:
    body = {"customer_id": str(customer), "lines": [{"product_id": product, "quantity": 1}], "channel": "web"}
    began = time.perf_counter()
    status, headers, _ = await orders.send(request("POST", "/v1/orders", token, json.dumps(body).encode()))
    answered = time.perf_counter()
    if status != 201:
        placing.failures.append(str(status))
        return
    placing.latencies.append(answered - began)
    wanted = {"Sync-Token": headers["sync-token"], "Prefer": "wait=10"}
    status, headers, body_ = await scoring.send(
        request("GET", f"/v1/scores/{customer}", token, headers=wanted)
    )
    seen = time.perf_counter()
    if status == 200 and json.loads(body_)["progress"]["orders"] >= int(
        wanted["Sync-Token"].rpartition("=")[2]
    ):
        reading.latencies.append(seen - answered)
    else:
        reading.failures.append(str(status))
