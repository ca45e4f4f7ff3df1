"""Scoring on a database of its own, told events as the consumer tells them, and asked over HTTP."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from scoring.app import SERVICE
from scoring.bands import looks
from scoring.bands.handlers import score_changed
from scoring.care import report
from scoring.rebuilding import replay
from scoring.settings import ScoringSettings
from scoring.verify import verify
from shared.bus import outbox
from shared.bus.inbox import Inbox
from shared.bus.reading import Incoming
from shared.db import Database, new_id
from shared.events.customer import CustomerCreated, CustomerState
from shared.events.event import Event, decode, encode
from shared.events.orders import OrderCancelled, OrderCompleted, OrderPlaced, OrderState, OrderStatus
from shared.events.service_desk import (
    Outcome,
    Severity,
    Spell,
    TicketKind,
    TicketOpened,
    TicketResolved,
    TicketState,
)
from shared.service import api
from shared.testing import FixedClock
from shared.testing.http import client, web_environment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Scoring:
    """The service under test, and what a test needs to tell it and to look behind it."""

    app: FastAPI
    db: Database
    clock: FixedClock
    settings: ScoringSettings
    open_clients: AsyncExitStack
    _seqs: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    @property
    def inbox(self) -> Inbox:
        """What the consumer hands its records to."""
        return Inbox(SERVICE.handlers(self.settings))

    async def caller(self, role: str | None, **more: Any) -> httpx.AsyncClient:
        """Somebody of this role."""
        return await self.open_clients.enter_async_context(client(self.app, role, **more))

    def incoming(self, *events: Event) -> list[Incoming]:
        """Events as they come from Kafka, next in their streams."""
        found = []
        for event in events:
            self._seqs[event.topic, event.key] += 1
            seq = self._seqs[event.topic, event.key]
            at = self.clock.now()
            headers = outbox.headers(new_id(), event.wire_name, event.key, seq, at, None, None, None)
            found.append(self.inbox.read(Incoming(event.topic, headers, encode(event))))
        return found

    async def take_in(self, incomings: Sequence[Incoming]) -> None:
        """One batch of the consumer."""
        async with self.db.tx() as tx:
            await self.inbox.take_in(tx, incomings)

    async def tell(self, *events: Event) -> list[Incoming]:
        """Have these events counted, in one batch."""
        incomings = self.incoming(*events)
        await self.take_in(incomings)
        return incomings

    async def look(self, after: timedelta = timedelta(0)) -> int:
        """The worker's next look at who is due."""
        self.clock.advance(after)
        return await score_changed(self.db, self.clock, self.settings)

    async def events(self, topic: str = "patron.scoring") -> list[Any]:
        """What was published, in order."""
        async with self.db.read() as tx:
            found = await tx.fetch("SELECT type, payload FROM outbox WHERE topic = $1 ORDER BY id", topic)
        return [decode(r["type"], r["payload"]) for r in found]

    async def value(self, statement: str, *given: object) -> Any:
        """A single value of the database."""
        async with self.db.read() as tx:
            return await tx.fetchval(statement, *given)

    async def states_are_their_facts(self) -> bool:
        """Whether a rebuild equals the live states."""
        return not (await verify(self.db)).different


@pytest.fixture
async def scoring(make_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Scoring]:
    """A scoring service that knows nobody."""
    settings = ScoringSettings.model_validate(
        {name.lower(): value for name, value in web_environment().items()}
        | {"database_url": await make_database("scoring"), "kafka_bootstrap_servers": "unused:9092"}
    )
    clock = FixedClock(NOW)
    app = api(SERVICE, settings, clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(client(app, None))  # starts it
        yield Scoring(app, app.state.db, clock, settings, stack)


@pytest.fixture
def replayed(scoring: Scoring, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service has the broker it consumes from; a rebuild has one process, where two prove no more."""
    monkeypatch.setattr(replay, "PROCESSES", 1)
    scoring.settings = scoring.settings.model_copy(update={"kafka_bootstrap_servers": kafka})


@pytest.fixture
async def analyst(scoring: Scoring) -> httpx.AsyncClient:
    """May read scores and fit models."""
    return await scoring.caller("analyst")


@pytest.fixture
def only_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a band is noticeable, so that nobody is looked at for anything else."""
    for name in ("CHANCE", "SHARE", "LEAST_VALUE", "POINTS"):
        monkeypatch.setattr(looks, name, 1e12)


@pytest.fixture
async def buyers(scoring: Scoring) -> list[UUID]:
    """A hundred customers who buy at different rates, some of whom complained."""
    dice, who = Random(11), [uuid4() for _ in range(100)]
    events: list[Event] = []
    for each in who:
        rate, at, days = dice.gammavariate(0.9, 1 / 50), 500.0, []
        while at > 0 and dice.random() < 0.93:
            days.append(at)
            at -= dice.expovariate(rate)
        events += [
            created(each),
            *(placed(each, NOW - timedelta(days=d), dice.randint(500, 5000)) for d in days or [at]),
        ]
        if dice.random() < 0.3:
            complaint = opened(each, NOW - timedelta(days=200))
            events += [complaint, resolved(complaint, NOW - timedelta(days=190), "recovered")]
    await scoring.tell(*events)
    return who


@pytest.fixture
def quick_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a second a page: only the tests that read one have it drawn."""
    if "report" not in request.node.name:
        monkeypatch.setattr(report, "render", lambda *_: "not drawn")


def created(customer_id: UUID) -> CustomerCreated:
    return CustomerCreated(
        customer_id=customer_id,
        customer=CustomerState(id=customer_id, version=1, number="C-1", type="person", status="active"),
    )


def order(at: datetime, amount: int, order_id: UUID, version: int, status: OrderStatus) -> OrderState:
    return OrderState(
        id=order_id,
        version=version,
        number="O-1",
        status=status,
        channel="web",
        ordered_at=at,
        currency="USD",
        total_minor=amount,
        list_total_minor=1000,
        lines=(),
    )


def placed(customer_id: UUID, at: datetime, amount: int = 1000, order_id: UUID | None = None) -> OrderPlaced:
    return OrderPlaced(customer_id=customer_id, order=order(at, amount, order_id or new_id(), 1, "placed"))


def completed(before: OrderPlaced, at: datetime) -> OrderCompleted:
    was = before.order
    after = order(was.ordered_at, was.total_minor, was.id, was.version + 1, "completed")
    return OrderCompleted(customer_id=before.customer_id, order=after, completed_at=at)


def cancelled(before: OrderPlaced, at: datetime) -> OrderCancelled:
    was = before.order
    after = order(was.ordered_at, was.total_minor, was.id, was.version + 1, "cancelled")
    return OrderCancelled(customer_id=before.customer_id, order=after, cancelled_at=at)


def opened(
    customer_id: UUID, at: datetime, kind: TicketKind = "complaint", severity: Severity = "major"
) -> TicketOpened:
    ticket = TicketState(
        id=new_id(),
        version=1,
        number="T-1",
        kind=kind,
        severity=severity,
        status="open",
        spells=(Spell(opened_at=at),),
    )
    return TicketOpened(customer_id=customer_id, ticket=ticket)


def resolved(before: TicketOpened, at: datetime, outcome: Outcome) -> TicketResolved:
    was = before.ticket
    ticket = TicketState(
        id=was.id,
        version=was.version + 1,
        number=was.number,
        kind=was.kind,
        severity=was.severity,
        status="resolved",
        spells=(Spell(opened_at=was.spells[0].opened_at, resolved_at=at, outcome=outcome),),
    )
    return TicketResolved(customer_id=before.customer_id, ticket=ticket)


async def read(caller: httpx.AsyncClient, customer_id: object, query: str = "") -> dict[str, Any]:
    """A score as it is answered."""
    answer = await caller.get(f"/v1/scores/{customer_id}{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def fit(caller: httpx.AsyncClient) -> dict[str, Any]:
    """A model fitted to all customers."""
    answer = await caller.post("/v1/models/fit")
    assert answer.status_code == 201, answer.text
    return dict(answer.json())
