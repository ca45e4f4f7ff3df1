"""(a) Placing an order, against a bare route that runs the same SQL."""

import json

from rich.table import Table

import stack
from tests.bench import against_bare
from tests.bench.load import request
from tests.bench.world import World, customers_and_product


async def run(world: World) -> Table:
    """Orders of one line, of customers who are known."""
    services = [s for s in stack.SERVICES if s.name in ("customer", "orders")]
    async with stack.services(world.directory, world.backing, which=services) as fleet:
        ids, product = await customers_and_product(fleet, world.token)
        await fleet.processes["orders.worker"].stop()  # the relay would share the two cores
        token = world.token

        def order(n: int) -> bytes:
            body = {
                "customer_id": str(ids[n % len(ids)]),
                "lines": [{"product_id": product, "quantity": 1 + n % 3}],
                "channel": "web",
            }
            return request("POST", "/v1/orders", token, json.dumps(body).encode())

        results = await against_bare.compare(world, "orders", fleet.urls["orders"], order)
    return against_bare.table("(a) place an order, one process, fsync on", "orders/s", "0.70", results)
