"""One route against a bare Starlette and asyncpg route that runs the same SQL, in turns."""

import os
import sys
from collections.abc import Callable
from statistics import median

from rich.table import Table

import stack
from stack.fleet import answers
from stack.process import Process
from tests.bench.load import Measured, closed_loop
from tests.bench.world import World

CONNECTIONS, SECONDS, ROUNDS = 16, 6, 3


async def compare(
    world: World, service: str, url: str, make: Callable[[int], bytes]
) -> dict[str, list[Measured]]:
    """One server process each, the load from the other core; `make` makes the n-th request for either."""
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
            "DATABASE_URL": world.backing.database_urls[service],
            "PYTHONPATH": os.getcwd(),
        },
    )  # fmt: skip
    await bare.start()
    urls = {"bare Starlette + asyncpg": f"http://127.0.0.1:{port}", "Patron": url}
    results: dict[str, list[Measured]] = {name: [] for name in urls}
    for _ in range(ROUNDS):
        for name, address in urls.items():
            results[name].append(await closed_loop(address, make, connections=CONNECTIONS, seconds=SECONDS))
    await bare.stop()
    return results


def table(title: str, unit: str, aim: str, results: dict[str, list[Measured]]) -> Table:
    """Medians over the rounds, and ours against the bare one."""
    shown = Table("", unit, "p50 ms", "p99 ms", "failed", title=title)
    rates = {name: median(m.per_second for m in found) for name, found in results.items()}
    for name, found in results.items():
        middle = sorted(found, key=lambda m: m.per_second)[len(found) // 2]
        shown.add_row(
            name,
            f"{rates[name]:,.0f}",
            f"{middle.percentile(50):.1f}",
            f"{middle.percentile(99):.1f}",
            str(sum(len(m.failures) for m in found)),
        )
    bare, ours = rates.values()
    shown.add_row(f"ratio (aim: at least {aim})", f"{ours / bare:.2f}", "", "", "")
    return shown
