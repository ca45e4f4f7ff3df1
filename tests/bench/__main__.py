"""`python -m tests.bench a b c d e f g`, or some: measures, prints tables. Nothing passes or fails."""

import asyncio
import sys

from rich.console import Console

from tests.bench import backlog, crossings, freshness, lists, place_order, population, read_score
from tests.bench.world import world

ON_SERVERS = {
    "a": place_order.run, "b": backlog.run, "c": freshness.run, "e": lists.run, "f": read_score.run,
    "g": crossings.run,
}  # fmt: skip


async def main(chosen: list[str]) -> None:
    """Each benchmark on servers of its own, one after the other."""
    console = Console()
    for name in chosen:
        console.print(f"({name}) …", style="dim")
        if name in ON_SERVERS:
            async with world() as its_own:
                console.print(await ON_SERVERS[name](its_own))
        else:
            console.print(population.run())


if __name__ == "__main__":
    wanted = sys.argv[1:] or sorted({*ON_SERVERS, "d"})
    if not set(wanted) <= {*ON_SERVERS, "d"}:
        sys.exit(__doc__)
    asyncio.run(main(wanted))
