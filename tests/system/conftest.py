"""All processes of Patron, as they run in production: four APIs, four workers, PostgreSQL, Kafka."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

import stack
from shared.web.tokens import mint


@dataclass(frozen=True)
class Patron:
    """The running system, as its users reach it."""

    fleet: stack.Fleet
    backing: stack.Backing
    directory: Path
    http: httpx.AsyncClient

    def headers(self, role: str = "manager", **claims: Any) -> dict[str, str]:
        """A caller's credentials."""
        return {"Authorization": f"Bearer {mint(stack.keys_of(self.directory), role=role, **claims)}"}

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        expect: int | None = None,
        role: str = "manager",
        **more: Any,
    ) -> httpx.Response:
        """One request to a service; `expect` fails the test with the answer's text."""
        headers = {**self.headers(role), **more.pop("headers", {})}
        answer = await self.http.request(method, self.fleet.urls[service] + path, headers=headers, **more)
        if expect is not None:
            assert answer.status_code == expect, answer.text
        return answer

    async def customer(self) -> str:
        """A new customer."""
        body = {"type": "person", "name": "Ann Example"}
        return str((await self.call("POST", "customer", "/v1/customers", json=body, expect=201)).json()["id"])

    async def product(self) -> str:
        """A new product at 10.00."""
        body = {"sku": f"S-{uuid4().hex[:10]}", "name": "Disc", "list_price_minor": 1000}
        return str((await self.call("POST", "orders", "/v1/products", json=body, expect=201)).json()["id"])

    async def order(self, customer: str, product: str, at: datetime | None = None) -> httpx.Response:
        """A placed order; at an instant of the past, if one is given."""
        lines = [{"product_id": product, "quantity": 2}]
        body: dict[str, Any] = {"customer_id": customer, "lines": lines, "channel": "web"}
        if at:
            body["ordered_at"] = at.isoformat()
        return await self.call("POST", "orders", "/v1/orders", json=body, expect=201)

    async def complaint(self, customer: str, at: datetime | None = None) -> httpx.Response:
        """An open complaint."""
        body = {"customer_id": customer, "kind": "complaint", "subject": "Broken", "severity": "critical"}
        if at:
            body["opened_at"] = at.isoformat()
        return await self.call("POST", "service-desk", "/v1/tickets", json=body, expect=201)

    async def score(self, customer: str, after: httpx.Response | None = None) -> dict[str, Any]:
        """The customer's score, once it has counted a write."""
        headers = {"Sync-Token": after.headers["Sync-Token"], "Prefer": "wait=30"} if after else {}
        answer = await self.call("GET", "scoring", f"/v1/scores/{customer}", headers=headers, expect=200)
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="session")
async def patron(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Patron]:
    """Everything started, once for all system tests."""
    directory = tmp_path_factory.mktemp("patron").resolve()
    async with (
        stack.backing(directory, durable=False, say=lambda _: None) as backing,
        stack.services(directory, backing) as fleet,
        httpx.AsyncClient(timeout=60) as http,
    ):
        yield Patron(fleet, backing, directory, http)


def now() -> datetime:
    """The real time, which the processes have too."""
    return datetime.now(UTC)
