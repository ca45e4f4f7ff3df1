"""What tests of rebuilds need: lives on a log, a consumer that counts them, a rebuild."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer

from scoring.facts.domain import DAY as _DAY
from scoring.facts.handlers import handlers_in
from scoring.rebuilding import shadow
from scoring.rebuilding.handlers import rebuild
from scoring.rebuilding.store import ask, get
from scoring.rebuilding.tables import RebuildRun
from shared.bus.consumer import Consumer
from shared.bus.reading import Incoming
from shared.bus.relay import partition_of
from tests.service.scoring.conftest import (
    NOW,
    Scoring,
    cancelled,
    completed,
    created,
    opened,
    placed,
    resolved,
)

DAY = timedelta(microseconds=_DAY)
PARTITIONS = 12


async def publish(scoring: Scoring, incomings: Sequence[Incoming]) -> None:
    """Put events on the topics as their publishers' relays do."""
    producer = AIOKafkaProducer(bootstrap_servers=scoring.settings.kafka_bootstrap_servers)
    await producer.start()
    for one in incomings:
        key = one.headers["ce_partitionkey"]
        await producer.send_and_wait(
            one.topic, one.value, key.encode(), partition_of(key, PARTITIONS),
            headers=[(name, value.encode()) for name, value in one.headers.items()],
        )  # fmt: skip
    await producer.stop()


def lives(scoring: Scoring, customers: Sequence[UUID]) -> list[Incoming]:
    """What happened to these customers: purchases, one late, one cancelled; a complaint, resolved."""
    told: list[Incoming] = []
    for n, who in enumerate(customers):
        first, late, gone = (placed(who, NOW - days * DAY, 1000 + n) for days in (90, 120, 30))
        complaint = opened(who, NOW - 20 * DAY)
        told += scoring.incoming(
            created(who), first, late, completed(first, NOW - 80 * DAY), gone, complaint,
            cancelled(gone, NOW - 25 * DAY), resolved(complaint, NOW - 10 * DAY, "recovered"),
        )  # fmt: skip
    return told


@asynccontextmanager
async def consuming(scoring: Scoring) -> AsyncIterator[None]:
    """The live consumer runs."""
    handlers = handlers_in("USD")
    consumer = Consumer(scoring.db, scoring.settings.kafka_bootstrap_servers, shadow.LIVE_GROUP, handlers)
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def counted(scoring: Scoring, who: UUID, orders: int) -> bool:
    last = await scoring.value(
        "SELECT last_seq FROM stream_progress WHERE topic = 'patron.orders' AND key = $1", str(who)
    )
    return bool(last == orders)


async def rebuilt(scoring: Scoring) -> RebuildRun:
    async with scoring.db.tx() as tx:
        run = await ask(tx, "ann", NOW)
    await rebuild(scoring.db, scoring.settings, run.id)
    async with scoring.db.read() as tx:
        return await get(tx, run.id)


async def interrupted(scoring: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that ends when all is counted and nothing compared."""

    async def die(*_: object) -> None:
        raise SystemError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("scoring.rebuilding.mending.compare", die)
        with pytest.raises(SystemError):
            await rebuilt(scoring)
