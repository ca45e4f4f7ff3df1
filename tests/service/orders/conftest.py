"""The orders service over HTTP, with a database of its own and a customer service that a test scripts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from orders.app import SERVICE
from orders.customers import store as customers
from orders.customers.domain import Customer
from shared.db import Database, new_id
from shared.events.customer import CustomerStatus
from shared.service import api
from shared.settings import ServiceSettings
from shared.testing import FixedClock
from shared.testing.http import client, web_environment

MakeDatabase = Callable[[str], Awaitable[str]]


@dataclass
class CustomerService:
    """The customer service, as the test wants it: whom it knows, whether it answers, what it was asked."""

    known: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    asked: list[UUID] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        customer_id = UUID(request.url.path.rpartition("/")[2])
        self.asked.append(customer_id)
        if customer_id not in self.known:
            return httpx.Response(404)
        return httpx.Response(200, json=self.known[customer_id])

    def add(self) -> UUID:
        """A customer of whom no event has arrived yet."""
        id_ = new_id()
        self.known[id_] = {
            "id": str(id_),
            "version": 1,
            "number": "C-1",
            "type": "person",
            "status": "active",
        }
        return id_


@dataclass
class World:
    """The service under test, and what a test arranges and looks at behind its back."""

    app: FastAPI
    clock: FixedClock
    customer_service: CustomerService
    manager: httpx.AsyncClient
    stack: AsyncExitStack

    @property
    def db(self) -> Database:
        """The service's database."""
        database: Database = self.app.state.db
        return database

    async def caller(self, role: str | None, customer_id: UUID | None = None) -> httpx.AsyncClient:
        """Somebody of another role."""
        return await self.stack.enter_async_context(client(self.app, role, customer_id=customer_id))

    async def customer(self, status: CustomerStatus = "active", class_: str | None = None) -> UUID:
        """A customer whose event has arrived."""
        customer = Customer(new_id(), 1, status, class_)
        async with self.db.tx() as tx:
            await customers.save(tx, [customer])
        return customer.id

    async def product(self, price: int = 1000, **values: Any) -> UUID:
        """A product with an SKU of its own."""
        body = {"sku": f"S-{new_id()}", "name": "Tea", "list_price_minor": price, **values}
        return UUID((await self.manager.post("/v1/products", json=body)).raise_for_status().json()["id"])

    async def order(
        self, customer_id: UUID | None = None, price: int = 1000, **values: Any
    ) -> dict[str, Any]:
        """An order of one piece."""
        body = {
            "customer_id": str(customer_id or await self.customer()),
            "lines": [{"product_id": str(await self.product(price)), "quantity": 1}],
            "channel": "web",
            **values,
        }
        placed = (await self.manager.post("/v1/orders", json=body)).raise_for_status()
        found: dict[str, Any] = placed.json()
        return found

    async def events(self, key: object) -> list[tuple[int, str, dict[str, Any]]]:
        """What the outbox holds for a key: sequence, type, data."""
        async with self.db.read() as tx:
            found = await tx.fetch(
                "SELECT seq, type, payload FROM outbox WHERE key = $1 ORDER BY seq", str(key)
            )
        return [(r["seq"], r["type"], msgspec.json.decode(r["payload"])) for r in found]

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        async with self.db.read() as tx:
            found: int = await tx.fetchval(f"SELECT count(*) FROM {table}")
        return found


@pytest.fixture(scope="module")
async def world(make_database: MakeDatabase) -> AsyncIterator[World]:
    """One service per test module; every test uses customers and products of its own."""
    settings = ServiceSettings.model_validate(
        {
            **{name.lower(): value for name, value in web_environment().items()},
            "database_url": await make_database("orders"),
            "kafka_bootstrap_servers": "nowhere:9092",
        }
    )
    clock = FixedClock()
    app = api(SERVICE, settings, clock)
    customer_service = CustomerService()
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(client(app, "manager"))
        transport = httpx.MockTransport(customer_service.answer)
        app.state.http = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
        yield World(app, clock, customer_service, manager, stack)
