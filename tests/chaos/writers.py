"""Clients that write, each request repeated with its key until acknowledged; and what they were told."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx

TIMEOUT_SECONDS = 5.0
GIVE_UP_SECONDS = 120.0
CUSTOMERS_AT_FIRST = 3
MOVES = (*["place"] * 6, *["complete", "cancel", "open", "resolve"] * 2, "reopen", "join", "look")
KINDS = ("complaint", "complaint", "complaint", "inquiry")

View = dict[str, Any]


@dataclass
class Record:
    """What clients asked for and what they were told: the measure of everything afterwards."""

    customers: dict[UUID, View] = field(default_factory=dict)
    products: dict[UUID, View] = field(default_factory=dict)
    orders: dict[UUID, View] = field(default_factory=dict)
    tickets: dict[UUID, View] = field(default_factory=dict)
    acknowledged: list[tuple[float, str]] = field(default_factory=list)
    """Changes: when, on the monotonic clock, and by which service."""
    answered: list[tuple[float, str]] = field(default_factory=list)
    """The same of everything, looks included."""
    requests: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def retries(self) -> int:
        """Requests beyond the first of each change."""
        return self.requests - len(self.acknowledged) - len(self.refused)

    def acknowledged_by(self, service: str) -> int:
        """How many changes a service acknowledged."""
        return sum(by == service for _, by in self.acknowledged)

    def keep(self, kind: str, view: View) -> View:
        """Remember a thing as it was answered last."""
        things: dict[UUID, View] = getattr(self, kind)
        things[UUID(view["id"])] = view
        return view


class Client:
    """Sends changes until they are acknowledged."""

    def __init__(self, http: httpx.AsyncClient, urls: Mapping[str, str], record: Record) -> None:
        self._http = http
        self._urls = urls
        self.record = record

    async def post(self, service: str, path: str, body: View | None = None) -> View | None:
        """The answer to a change that was made once; None when it was refused, which is written down."""
        key = str(uuid4())
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        problem = ""
        while time.monotonic() < give_up_at:
            self.record.requests += 1
            try:
                response = await self._http.post(
                    self._urls[service] + path, json=body, headers={"Idempotency-Key": key}
                )
            except httpx.TransportError as error:
                problem = repr(error)
            else:
                if response.is_success:
                    self.record.acknowledged.append((time.monotonic(), service))
                    self.record.answered.append(self.record.acknowledged[-1])
                    found: View = response.json()
                    return found
                problem = f"{response.status_code} {response.text[:300]}"
                if response.status_code < 500 and not response.json()["type"].endswith("in-progress"):
                    break
            await asyncio.sleep(random.uniform(0.1, 0.5))
        self.record.refused.append(f"POST {service} {path}: {problem}")
        return None

    async def look(self, service: str, path: str) -> None:
        """Look once; that there is nothing yet is an answer too."""
        try:
            response = await self._http.get(self._urls[service] + path)
        except httpx.TransportError:
            return
        if response.is_success or response.status_code == 404:
            self.record.answered.append((time.monotonic(), service))


class Writer:
    """One client's work: its own customers, and what happens to them."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self._client = client
        self._record = client.record
        self._chance = chance
        self._customers: list[str] = []
        self._orders: list[View] = []
        self._tickets: list[View] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop; what has begun is ended."""
        for _ in range(CUSTOMERS_AT_FIRST):
            await self.join()
        while not stop.is_set():
            await getattr(self, self._chance.choice(MOVES))()
            await asyncio.sleep(self._chance.uniform(0.02, 0.15))

    async def join(self) -> None:
        """A new customer."""
        body = {"type": "person", "name": f"Chaos {uuid4().hex[:8]}"}
        if view := await self._client.post("customer", "/v1/customers", body):
            self._customers.append(self._record.keep("customers", view)["id"])

    async def look(self) -> None:
        """Somebody wants to know how loyal a customer is."""
        await self._client.look("scoring", f"/v1/scores/{self._chance.choice(self._customers)}")

    async def place(self) -> None:
        """An order, of a customer made a moment ago perhaps."""
        lines = [
            {"product_id": str(product), "quantity": self._chance.randint(1, 5)}
            for product in self._chance.sample(sorted(self._record.products), self._chance.randint(1, 3))
        ]
        body = {"customer_id": self._chance.choice(self._customers), "lines": lines, "channel": "web"}
        if view := await self._client.post("orders", "/v1/orders", body):
            self._orders.append(self._record.keep("orders", view))

    async def complete(self) -> None:
        """An order is handed over."""
        await self._move_order("complete")

    async def cancel(self) -> None:
        """An order counts no longer."""
        await self._move_order("cancel")

    async def open(self) -> None:
        """A ticket, a complaint mostly."""
        body = {
            "customer_id": self._chance.choice(self._customers),
            "kind": self._chance.choice(KINDS),
            "subject": "something broke",
            "severity": self._chance.choice(("minor", "major", "critical")),
        }
        if view := await self._client.post("service-desk", "/v1/tickets", body):
            self._tickets.append(self._record.keep("tickets", view))

    async def resolve(self) -> None:
        """An open ticket comes to its end."""
        await self._move_ticket(
            "open", "resolve", {"outcome": self._chance.choice(("recovered", "mishandled"))}
        )

    async def reopen(self) -> None:
        """A resolved one was not solved after all."""
        await self._move_ticket("resolved", "reopen", None)

    async def _move_order(self, verb: str) -> None:
        placed = [n for n, order in enumerate(self._orders) if order["status"] == "placed"]
        if placed:
            order = self._orders.pop(self._chance.choice(placed))
            if view := await self._client.post("orders", f"/v1/orders/{order['id']}/{verb}"):
                self._record.keep("orders", view)

    async def _move_ticket(self, status: str, verb: str, body: View | None) -> None:
        fitting = [n for n, ticket in enumerate(self._tickets) if ticket["status"] == status]
        if fitting:
            ticket = self._tickets.pop(self._chance.choice(fitting))
            if view := await self._client.post("service-desk", f"/v1/tickets/{ticket['id']}/{verb}", body):
                self._tickets.append(self._record.keep("tickets", view))


@asynccontextmanager
async def connected(urls: Mapping[str, str], token: str, record: Record) -> AsyncIterator[Client]:
    """A client of the services, with the products that everybody orders."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=TIMEOUT_SECONDS) as http:
        client = Client(http, urls, record)
        for n in range(len(record.products), 5):
            body = {"sku": f"chaos-{n}", "name": f"Thing {n}", "list_price_minor": 100 + 37 * n}
            if view := await client.post("orders", "/v1/products", body):
                record.keep("products", view)
        yield client


@asynccontextmanager
async def writing(client: Client, *, seed: int, writers: int = 8) -> AsyncIterator[None]:
    """Several writers at once, until the block is left and each has ended what it had begun."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for n in range(writers):
            tasks.create_task(Writer(client, random.Random(f"{seed}/{n}")).run(stop))
        try:
            yield
        finally:
            stop.set()
