"""A customer service on a database of its own, and callers of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from customer.app import SERVICE
from customer.settings import CustomerSettings
from shared.events.event import decode
from shared.service import api
from shared.testing import FixedClock
from shared.testing.http import client, web_environment
from tests.conftest import MakeDatabase


@dataclass
class Published:
    """What stands in the outbox."""

    seq: int
    type: str
    data: dict[str, Any]
    raw: str


@dataclass
class Archive:
    """The service under test: its application, its clock, and a look behind its back."""

    app: FastAPI
    clock: FixedClock
    database: asyncpg.Connection

    async def published(self, customer_id: UUID | str) -> list[Published]:
        """The events about a customer, in order."""
        records = await self.database.fetch(
            "SELECT seq, type, payload FROM outbox WHERE topic = 'patron.customer' AND key = $1 ORDER BY seq",
            str(customer_id),
        )
        for record in records:
            decode(record["type"], record["payload"])
        return [
            Published(r["seq"], r["type"], json.loads(r["payload"]), r["payload"].decode()) for r in records
        ]


@asynccontextmanager
async def open_archive(make_database: MakeDatabase) -> AsyncIterator[Archive]:
    """A fresh customer service."""
    url = await make_database("customer")
    told = {**web_environment(), "DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": "unused:1"}
    settings = CustomerSettings.model_validate({name.lower(): value for name, value in told.items()})
    clock = FixedClock()
    database = await asyncpg.connect(url)
    yield Archive(api(SERVICE, settings, clock), clock, database)
    await database.close()


@pytest.fixture
async def archive(make_database: MakeDatabase) -> AsyncIterator[Archive]:
    """A customer service for one test."""
    async with open_archive(make_database) as opened:
        yield opened


@pytest.fixture
async def http(archive: Archive) -> AsyncIterator[httpx.AsyncClient]:
    """A manager calling the service."""
    async with client(archive.app, "manager", sub="mary") as caller:
        yield caller
