"""What the benchmarks run on: durable servers of their own, and some customers and a product to order."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import httpx

import stack
from shared.web.tokens import mint
from stack import postgres

CUSTOMERS = 2000


@dataclass(frozen=True)
class World:
    """Servers that keep their promises (fsync on), in a directory that goes with them."""

    directory: Path
    backing: stack.Backing

    @property
    def token(self) -> str:
        """An administrator's."""
        return mint(stack.keys_of(self.directory), role="administrator")


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A new PostgreSQL and Kafka."""
    with TemporaryDirectory(prefix="patron-bench-") as name:
        directory = Path(name)
        try:
            async with stack.backing(directory, durable=True, say=lambda _: None) as backing:
                yield World(directory, backing)
        finally:
            postgres.remove_outside(directory)


async def customers_and_product(fleet: stack.Fleet, token: str) -> tuple[list[UUID], str]:
    """Some customers, known to orders, and a product that they can order."""
    headers = {"Authorization": f"Bearer {token}"}
    ids = [uuid4() for _ in range(CUSTOMERS)]
    lines = [
        json.dumps({"id": str(i), "type": "person", "name": f"Bench {n}"}).encode() for n, i in enumerate(ids)
    ]
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        imported = await http.post(
            f"{fleet.urls['customer']}/v1/imports/customers",
            content=b"\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        imported.raise_for_status()
        added = await http.post(
            f"{fleet.urls['orders']}/v1/products",
            json={"sku": "BENCH", "name": "Disc", "list_price_minor": 1499},
        )
        added.raise_for_status()
        product = added.json()["id"]
        for customer in ids:  # the first order of each makes orders know the customer
            order = {
                "customer_id": str(customer),
                "lines": [{"product_id": product, "quantity": 1}],
                "channel": "web",
            }
            (await http.post(f"{fleet.urls['orders']}/v1/orders", json=order)).raise_for_status()
    return ids, product
