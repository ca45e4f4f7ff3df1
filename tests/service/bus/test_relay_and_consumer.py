"""From outbox to handler over a real Kafka: once, in order, whoever dies or sleeps in between."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client import REGISTRY

from shared.bus.closing import close_within
from shared.bus.consumer import Consumer, FencedError
from shared.bus.outbox import emit
from shared.bus.relay import LeaseLostError, Relay
from shared.db import Database, new_id
from shared.testing.waiting import until
from tests.service.bus.conftest import NOW, Counted, Ledger, count, create_topic, ledger, read_log


@asynccontextmanager
async def running(*work: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(w.run()) for w in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(db: Database, things: str, start: int = 1) -> None:
    for place, thing in enumerate(things):
        async with db.tx() as tx:
            await emit(tx, Counted(thing=thing, amount=start + place), at=NOW)


async def test_everything_published_arrives_once_and_in_order(db: Database, lab: str) -> None:
    await publish(db, "abcabcabc")
    async with running(Relay(db, lab), Consumer(db, lab, Counted.topic, Ledger().handlers)):
        await publish(db, "aaa", start=10)
        await until(lambda: _is(db, "ledger", 12))
    assert await ledger(db, "a") == [(1, 1), (2, 4), (3, 7), (4, 10), (5, 11), (6, 12)]
    assert await count(db, "outbox_unsent") == 0
    assert await count(db, "parked_event") == 0


async def _is(db: Database, what: str, number: int) -> bool:
    return await count(db, what) == number


async def test_the_log_has_each_key_in_order(db: Database, lab: str) -> None:
    await publish(db, "abcde" * 40)
    async with running(Relay(db, lab)):
        await until(lambda: _is(db, "outbox_unsent", 0))
    by_key = defaultdict(list)
    for key, seq, _ in await read_log(lab, Counted.topic):
        by_key[key].append(seq)
    assert by_key == {key: list(range(1, 41)) for key in "abcde"}


async def test_a_backlog_is_read_while_it_is_sent_and_stays_in_order(db: Database, lab: str) -> None:
    for _ in range(5):
        async with db.tx() as tx:
            await emit(tx, *[Counted(thing=thing, amount=1) for thing in "abcde" * 130], at=NOW)
    async with running(Relay(db, lab)):
        await publish(db, "abcde")
        await until(lambda: _is(db, "outbox_unsent", 0))
    by_key = defaultdict(list)
    for key, seq, _ in await read_log(lab, Counted.topic):
        by_key[key].append(seq)
    assert by_key == {key: list(range(1, 652)) for key in "abcde"}


async def test_a_second_relay_stands_by_until_the_first_has_gone(db: Database, lab: str) -> None:
    first, second = Relay(db, lab), Relay(db, lab)
    assert await first.hold_lease()
    assert not await second.hold_lease()
    await publish(db, "a")
    async with running(second):
        await first._give_up_lease()
        await until(lambda: _is(db, "outbox_unsent", 0))


async def test_a_relay_that_slept_through_its_lease_marks_nothing(db: Database, lab: str) -> None:
    await publish(db, "ab")
    sleeper, successor = Relay(db, lab), Relay(db, lab)
    assert await sleeper.hold_lease()
    async with db.tx() as tx:
        await tx.execute("UPDATE relay_lease SET expires_at = now() - interval '1 second'")
    assert await successor.hold_lease()
    async with producing(lab) as producer:
        with pytest.raises(LeaseLostError):
            await sleeper.send_once(producer)
        assert await count(db, "outbox_unsent") == 2
        assert await successor.send_once(producer) == 2
    async with running(Consumer(db, lab, Counted.topic, Ledger().handlers)):
        await until(lambda: _is(db, "ledger", 2))  # what both sent counts once
    assert await count(db, "ledger") == 2


class Slow:
    """A producer whose lease has run out by the time the broker answers, unless it was renewed."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> Any:
        return self

    def append(self, **_record: object) -> bool:
        return True

    async def send_batch(self, *_batch: object, partition: int) -> asyncio.Future[None]:
        async with self._db.tx() as tx:
            await tx.execute("UPDATE relay_lease SET expires_at = now() - interval '1 second'")
        await until(lambda: _is(self._db, "relay_lease WHERE expires_at > now()", 1))
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


async def test_a_slow_broker_costs_the_relay_no_lease(db: Database) -> None:
    await publish(db, "ab")
    relay = Relay(db, "nowhere:1")
    assert await relay.hold_lease()
    assert await relay.send_once(Slow(db)) == 2


async def test_the_backlog_grows_while_kafka_is_away(db: Database) -> None:
    def backlog() -> float:
        return REGISTRY.get_sample_value("patron_outbox_backlog_age_seconds") or 0.0

    async def has_grown() -> bool:
        return backlog() > before

    await publish(db, "a")
    async with running(Relay(db, "127.0.0.1:1")):
        before = 0.0
        await until(has_grown)
        before = backlog() + 0.2
        await until(has_grown)


async def test_the_outbox_is_not_blocked_behind_a_backup(db: Database, lab: str) -> None:
    async with db.tx() as backup:
        await backup.fetch("SELECT * FROM outbox")
        await asyncio.wait_for(Relay(db, lab).keep_house(), 5)
        await publish(db, "a")
    assert await count(db, "pg_inherits WHERE inhparent = 'outbox'::regclass") == 1
    await Relay(db, lab).keep_house()
    assert await count(db, "pg_inherits WHERE inhparent = 'outbox'::regclass") == 8


async def test_a_consumer_that_slept_is_fenced_and_applies_nothing(db: Database, lab: str) -> None:
    await publish(db, "a")
    async with running(Relay(db, lab)):
        await until(lambda: _is(db, "outbox_unsent", 0))
    group = Counted.topic
    sleeper, successor = (Consumer(db, lab, group, Ledger().handlers) for _ in range(2))
    partitions = {TopicPartition(Counted.topic, p) for p in range(3)}
    async with reading(lab) as kafka:
        kafka.assign(partitions)
        await sleeper.claim(kafka, partitions)
        found = {p: r for p, r in (await kafka.getmany(timeout_ms=5000)).items() if r}
        await successor.claim(kafka, partitions)
        with pytest.raises(FencedError):
            async with db.tx() as tx:
                await sleeper.compare_and_set(tx, {p: r[-1] for p, r in found.items()}, sleeper._claims)
        async with db.tx() as tx:
            await successor.compare_and_set(tx, {p: r[-1] for p, r in found.items()}, successor._claims)


@asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[Any]:
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await kafka.start()
    try:
        yield kafka
    finally:
        await close_within(5, kafka.stop(), "reader")  # it may end as cancelled


async def test_two_consumers_share_the_partitions_and_count_once(db: Database, lab: str) -> None:
    async with running(
        Relay(db, lab), *(Consumer(db, lab, Counted.topic, Ledger().handlers) for _ in range(2))
    ):
        for start in (1, 201, 401):
            await publish(db, "abcdefghij" * 20, start=start)
        await until(lambda: _is(db, "ledger", 600))
    async with db.read() as connection:
        disorder = await connection.fetchval(
            "SELECT count(*) FROM (SELECT seq, row_number() OVER (PARTITION BY thing ORDER BY n) AS place"
            " FROM ledger) x WHERE seq <> place"
        )
    assert disorder == 0


async def test_a_consumer_goes_on_where_it_was_when_it_comes_back(db: Database, lab: str) -> None:
    group = Counted.topic
    async with running(Relay(db, lab)):
        for start in (1, 4, 7):
            await publish(db, "abc", start=start)
            async with running(Consumer(db, lab, group, Ledger().handlers)):
                await until(partial(_is, db, "ledger", start + 2))
    assert await ledger(db, "a") == [(1, 1), (2, 4), (3, 7)]


async def test_a_poison_record_is_parked_and_the_rest_goes_on(db: Database, lab: str) -> None:
    event = [("ce_id", str(new_id()).encode()), ("ce_time", NOW.isoformat().encode()), ("ce_sequence", b"1")]
    poison: list[list[tuple[str, bytes | None]]] = [
        [],
        [("ce_type", b"\xff\xfe")],
        [("ce_specversion", b"1.0"), ("ce_partitionkey", b"a")],
        [("ce_id", None)],
        [("ce_id", b"\0"), ("a\0b", b"\0")],
        [*event, ("ce_type", b"\0"), ("ce_partitionkey", b"a" * 9000)],
        [*event, ("ce_type", b"lab.counted.v1"), ("ce_partitionkey", b"a\0")],
        [*event[:2], ("ce_sequence", b"9" * 30), ("ce_type", b"lab.counted.v1"), ("ce_partitionkey", b"a")],
    ]
    async with producing(lab) as producer:
        for headers in poison:
            await producer.send_and_wait(Counted.topic, b"\xff\x00", key=b"a", headers=headers)
    await publish(db, "a")
    async with running(Relay(db, lab), Consumer(db, lab, Counted.topic, Ledger().handlers)):
        await until(lambda: _is(db, "ledger", 1))
    async with db.read() as connection:
        parked = await connection.fetch("SELECT * FROM parked_event")
    assert [p["value"] for p in parked] == [b"\xff\x00"] * len(poison)
    assert {p["offset"] for p in parked} == set(range(len(poison)))


async def test_a_recreated_topic_stops_the_consumer_instead_of_starting_over(db: Database, lab: str) -> None:
    topic = Counted.topic
    async with running(Relay(db, lab), Consumer(db, lab, topic, Ledger().handlers)):
        await publish(db, "abc")
        await until(lambda: _is(db, "ledger", 3))
    admin = AIOKafkaAdminClient(bootstrap_servers=lab)
    await admin.start()
    await admin.delete_topics([topic])

    async def gone() -> bool:
        return topic not in await admin.list_topics()

    await until(gone)
    await admin.close()
    await create_topic(lab, topic)
    await publish(db, "abcabcabc", start=4)
    async with running(Relay(db, lab), Consumer(db, lab, topic, Ledger().handlers)) as (_, consuming):
        await asyncio.wait_for(consuming, 30)
    assert await count(db, "ledger") == 3
