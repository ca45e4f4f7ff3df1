"""A database with nothing but the event path, and an event of which nobody else knows."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.bus.inbox import Inbox
from shared.bus.outbox import headers
from shared.bus.reading import Delivery, Incoming
from shared.db import Database, Tx, new_id
from shared.events.event import EVENTS, Event, declare, encode
from shared.migrations import SHARED_TABLES_V1, UNSENT_APART

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Counted(Event, frozen=True, kw_only=True):
    """Something happened to a thing; what the tests of the event path publish."""

    thing: str
    amount: int


class Renamed(Event, frozen=True, kw_only=True):
    """Nobody handles it: it only moves the sequence on."""

    thing: str


TOPIC = "patron.lab"
declare("lab.counted.v1", topic=TOPIC, key="thing")(Counted)
declare("lab.renamed.v1", topic=TOPIC, key="thing")(Renamed)


@dataclass
class Ledger:
    """A handler that keeps what it was given in a table, and fails where it is told to."""

    fails_on: set[int] = field(default_factory=set)
    batches: list[int] = field(default_factory=list)

    async def count(self, tx: Tx, deliveries: Sequence[Delivery[Counted]]) -> None:
        self.batches.append(len(deliveries))
        for d in deliveries:
            await tx.execute(
                "INSERT INTO ledger (thing, seq, amount) VALUES ($1, $2, $3)", d.key, d.seq, d.event.amount
            )
            if d.event.amount in self.fails_on:
                raise ValueError(f"{d.event.amount} is not to be had")

    @property
    def handlers(self) -> dict[type[Event], Any]:
        return {Counted: self.count}


@pytest.fixture
async def bus_url(postgres: str) -> str:
    """A database of one's own with the tables of the event path, and a ledger."""
    name = f"bus_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = postgres.rsplit("/", 1)[0] + f"/{name}"
    connection = await asyncpg.connect(url)
    await connection.execute(SHARED_TABLES_V1 + UNSENT_APART)
    await connection.execute(
        "CREATE TABLE ledger (n serial, thing text, seq bigint, amount bigint, PRIMARY KEY (thing, seq))"
    )
    await connection.close()
    return url


@pytest.fixture
async def db(bus_url: str) -> AsyncIterator[Database]:
    """The database, opened."""
    opened = await Database.open(bus_url)
    yield opened
    await opened.close()


@pytest.fixture
async def lab(kafka: str) -> AsyncIterator[str]:
    """The lab's topic, new for this test; the bootstrap address."""
    topic = f"patron.lab.{uuid4().hex[:8]}"
    await create_topic(kafka, topic)
    Counted.topic = Renamed.topic = topic
    yield kafka
    Counted.topic = Renamed.topic = TOPIC


async def create_topic(bootstrap: str, topic: str, partitions: int = 3) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs={"retention.ms": "-1"})])
    await admin.close()


async def read_log(bootstrap: str, topic: str) -> list[tuple[str, int, bytes]]:
    """Everything in a topic: key, sequence, value; in order within a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, p)
            for p in consumer.partitions_for_topic(topic) or await _known(consumer, topic)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found: list[tuple[str, int, bytes]] = []
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [(r.key.decode(), int(dict(r.headers)["ce_sequence"]), r.value) for r in records]
        return found
    finally:
        await consumer.stop()


async def _known(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    consumer.subscribe([topic])
    await consumer.getmany(timeout_ms=500)
    partitions: set[int] = consumer.partitions_for_topic(topic) or set()
    consumer.unsubscribe()
    return partitions


def record(thing: str, seq: int, amount: int = 0, *, event: Event | None = None) -> Incoming:
    """An event as it comes from Kafka."""
    event = event or Counted(thing=thing, amount=amount or seq)
    wire_name = next(name for name, known in EVENTS.items() if known is type(event))
    return Incoming(
        event.topic,
        headers(new_id(), wire_name, thing, seq, NOW, None, None, None),
        encode(event),
        partition=0,
        offset=seq,
    )


async def take_in(db: Database, inbox: Inbox, *incomings: Incoming) -> None:
    async with db.tx() as tx:
        await inbox.take_in(tx, [inbox.read(i) for i in incomings])


async def ledger(db: Database, thing: str) -> list[tuple[int, int]]:
    """What was applied for a thing, in the order of applying: sequence and amount."""
    async with db.read() as connection:
        found = await connection.fetch("SELECT seq, amount FROM ledger WHERE thing = $1 ORDER BY n", thing)
        return [(r["seq"], r["amount"]) for r in found]


async def count(db: Database, what: str) -> int:
    async with db.read() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {what}"))


__all__ = [
    "NOW",
    "Counted",
    "Ledger",
    "Renamed",
    "count",
    "ledger",
    "msgspec",
    "read_log",
    "record",
    "take_in",
]
