"""The service desk over HTTP, on a database of its own, with a customer service that a test can take away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from service_desk.app import SERVICE
from shared.db import Database, new_id
from shared.events.event import decode
from shared.events.service_desk import TicketOpened, TicketReopened, TicketResolved
from shared.service import api
from shared.settings import ServiceSettings
from shared.testing import FixedClock
from shared.testing.http import client, web_environment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

TicketEvent = TicketOpened | TicketResolved | TicketReopened


@dataclass
class CustomerService:
    """Stands in for the customer service: whom it knows, whether it answers, how often it was asked."""

    customers: set[UUID] = field(default_factory=set)
    away: bool = False
    asked: int = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        customer_id = UUID(request.url.path.rpartition("/")[2])
        if customer_id not in self.customers:
            return httpx.Response(404)
        state = {
            "id": str(customer_id), "version": 1, "number": "C-000001", "type": "person", "status": "active",
            "level": "gold", "name": "Ann",
        }  # fmt: skip
        return httpx.Response(200, json=state)


@dataclass
class Desk:
    """The service under test, and what a test needs to look behind it."""

    app: FastAPI
    db: Database
    clock: FixedClock
    customer_service: CustomerService
    open_clients: AsyncExitStack

    async def caller(
        self, role: str | None, customer_id: UUID | None = None, sub: str | None = None
    ) -> httpx.AsyncClient:
        """Somebody of this role."""
        return await self.open_clients.enter_async_context(
            client(self.app, role, customer_id=customer_id, sub=sub)
        )

    def new_customer(self) -> UUID:
        """A customer whom only the customer service knows as yet."""
        customer_id = new_id()
        self.customer_service.customers.add(customer_id)
        return customer_id

    async def events(self, customer_id: UUID) -> list[TicketEvent]:
        """What was published about a customer, its sequence checked for gaps."""
        async with self.db.read() as tx:
            found = await tx.fetch(
                "SELECT * FROM outbox WHERE topic = 'patron.service_desk' AND key = $1 ORDER BY id",
                str(customer_id),
            )
        assert [record["seq"] for record in found] == list(range(1, len(found) + 1))
        return [cast(TicketEvent, decode(record["type"], record["payload"])) for record in found]

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        async with self.db.read() as tx:
            return int(await tx.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.fixture
async def desk(make_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Desk]:
    """A service desk that nobody has called yet."""
    url = await make_database("service_desk")
    settings = ServiceSettings.model_validate(
        {name.lower(): value for name, value in web_environment().items()}
        | {"database_url": url, "kafka_bootstrap_servers": "unused:9092", "customer_url": "http://customer"}
    )
    clock, customer_service = FixedClock(NOW), CustomerService()
    app = api(SERVICE, settings, clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(client(app, None))  # starts it
        peer = httpx.AsyncClient(transport=httpx.MockTransport(customer_service.answer))
        app.state.http = await stack.enter_async_context(peer)
        yield Desk(app, app.state.db, clock, customer_service, stack)


@pytest.fixture
async def manager(desk: Desk) -> httpx.AsyncClient:
    """May do all that can be done with tickets."""
    return await desk.caller("manager", sub="mia")


@pytest.fixture
async def agent(desk: Desk) -> httpx.AsyncClient:
    """Works at the desk; may not tell the past."""
    return await desk.caller("agent", sub="adam")


def complaint(customer_id: UUID, **more: Any) -> dict[str, Any]:
    """A body that opens a ticket."""
    return {
        "customer_id": str(customer_id),
        "kind": "complaint",
        "subject": "The kettle leaks",
        "severity": "major",
    } | more


async def opened(caller: httpx.AsyncClient, customer_id: UUID, **more: Any) -> dict[str, Any]:
    """A ticket, opened."""
    answer = await caller.post("/v1/tickets", json=complaint(customer_id, **more))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())
