"""(a) Placing an order, against a bare Starlette and asyncpg route that runs the same SQL."""

import json
import os
import sys
from statistics import median

from rich.table import Table

import stack
from stack.fleet import answers
from stack.process import Process
from tests.bench.load import Measured, closed_loop, request
from tests.bench.world import World, customers_and_product

CONNECTIONS, SECONDS, ROUNDS = 16, 6, 3


async def run(world: World) -> Table:
    """Ours and the bare one in turns, one server process each, the load from the other core."""
    services = [s for s in stack.SERVICES if s.name in ("customer", "orders")]
    async with stack.services(world.directory, world.backing, which=services) as fleet:
        ids, product = await customers_and_product(fleet, world.token)
        (port,) = stack.ports.free(1)
        bare = Process(
            name="bare",
            command=[
                sys.executable, "-m", "uvicorn", "tests.bench.bare:app", "--port", str(port),
                "--loop", "uvloop", "--http", "httptools", "--no-access-log",
            ],
            log=world.directory / "log" / "bare.log",
            ready=lambda: answers(port),
            environment={
                **os.environ,
                "DATABASE_URL": world.backing.database_urls["orders"],
                "PYTHONPATH": os.getcwd(),
            },
        )  # fmt: skip
        await bare.start()
        await fleet.processes["orders.worker"].stop()  # the relay would share the two cores
        results: dict[str, list[Measured]] = {"bare Starlette + asyncpg": [], "Patron": []}
        urls = dict(zip(results, (f"http://127.0.0.1:{port}", fleet.urls["orders"]), strict=True))
        token = world.token

        def order(n: int) -> bytes:
            body = {
                "customer_id": str(ids[n % len(ids)]),
                "lines": [{"product_id": product, "quantity": 1 + n % 3}],
                "channel": "web",
            }
            return request("POST", "/v1/orders", token, json.dumps(body).encode())

        for _ in range(ROUNDS):
            for name, url in urls.items():
                results[name].append(await closed_loop(url, order, connections=CONNECTIONS, seconds=SECONDS))
        await bare.stop()
    return _table(results)


def _table(results: dict[str, list[Measured]]) -> Table:
    table = Table(
        "", "orders/s", "p50 ms", "p99 ms", "failed", title="(a) place an order, one process, fsync on"
    )
    rates = {name: median(m.per_second for m in found) for name, found in results.items()}
    for name, found in results.items():
        middle = sorted(found, key=lambda m: m.per_second)[len(found) // 2]
        table.add_row(
            name,
            f"{rates[name]:,.0f}",
            f"{middle.percentile(50):.1f}",
            f"{middle.percentile(99):.1f}",
            str(sum(len(m.failures) for m in found)),
        )
    bare, ours = rates.values()
    table.add_row("ratio (aim: at least 0.70)", f"{ours / bare:.2f}", "", "", "")
    return table
