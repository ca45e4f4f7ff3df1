"""(f) Reading a score, computed anew each time, against a bare route that runs the same SQL."""

from rich.console import Console
from rich.table import Table

import stack
from stack import cdnow, demo
from stack.supervisor import Running
from tests.bench import against_bare
from tests.bench.load import request
from tests.bench.world import World


async def run(world: World) -> Table:
    """The customers of the demonstration, with the model fitted to them."""
    async with stack.services(world.directory, world.backing) as fleet:
        quiet = Running(fleet.urls, stack.keys_of(world.directory), Console(quiet=True))
        await demo.play(quiet)
        for worker in fleet.of("worker"):
            await worker.stop()
        ids = [cdnow.customer_id(who) for who in dict.fromkeys(row.customer for row in cdnow.purchases())]
        token = world.token

        def read(n: int) -> bytes:
            return request("GET", f"/v1/scores/{ids[n * 7919 % len(ids)]}", token)

        results = await against_bare.compare(world, "scoring", fleet.urls["scoring"], read)
    return against_bare.table("(f) read a score, one process", "scores/s", "0.50", results)
