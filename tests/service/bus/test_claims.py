"""A consumer's claim on its partitions: it loses neither its place nor its turn, and counts nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus.closing import close_within
from shared.bus.consumer import Consumer
from shared.bus.reading import Delivery
from shared.bus.relay import Relay
from shared.bus.retry import Backoff, is_transient
from shared.db import Database, Tx
from shared.testing.waiting import until
from tests.service.bus.conftest import Counted, Ledger, count, ledger
from tests.service.bus.test_relay_and_consumer import _is, publish, reading, running


class Forgetful(Database):
    """A database that loses the answer to one commit."""

    def __init__(self, db: Database) -> None:
        super().__init__(db._pool)
        self.forgets = False

    @asynccontextmanager
    async def tx(self, *, wait_for_disk: bool = True) -> AsyncIterator[Tx]:
        async with super().tx(wait_for_disk=wait_for_disk) as tx:
            yield tx
        if self.forgets:
            self.forgets = False
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


async def test_a_commit_whose_answer_was_lost_counts_once_and_its_partition_goes_on(
    db: Database, lab: str
) -> None:
    forgetful = Forgetful(db)
    async with running(Relay(db, lab), Consumer(forgetful, lab, Counted.topic, Ledger().handlers)):
        await publish(db, "abc")
        await until(partial(_is, db, "ledger", 3))
        forgetful.forgets = True
        await publish(db, "abc", start=4)
        await until(partial(_is, db, "ledger", 6))
        await publish(db, "abc", start=7)
        await until(partial(_is, db, "ledger", 9))
    assert await ledger(db, "a") == [(1, 1), (2, 4), (3, 7)]


async def test_what_was_read_under_an_earlier_claim_is_dropped(
    db: Database, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(db, "a" * 5)
    async with running(Relay(db, lab)):
        await until(partial(_is, db, "outbox_unsent", 0))

    async def deadlock(_tx: Tx, _deliveries: Sequence[Delivery[Any]]) -> None:
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    slow, other = (Consumer(db, lab, "group", {Counted: h}) for h in (deadlock, Ledger().count))
    partitions = {TopicPartition(Counted.topic, p) for p in range(3)}
    async with reading(lab) as kafka:
        kafka.assign(partitions)
        await slow.claim(kafka, partitions)
        found = {p: r for p, r in (await kafka.getmany(timeout_ms=5000)).items() if r}

        async def lose_and_regain(_backoff: Backoff) -> None:
            """While it waits to try again, another has the partition, takes in more, and gives it back."""
            await other.claim(kafka, partitions)
            await other._take_in(await other.decoded(found))
            await slow.claim(kafka, partitions)

        monkeypatch.setattr(Backoff, "wait", lose_and_regain)
        await slow._take_in_until_it_works(await slow.decoded({p: r[:2] for p, r in found.items()}))
    assert await ledger(db, "a") == [(n, n) for n in range(1, 6)]
    assert await count(db, "consumer_offset WHERE next_offset = 5") == 1


async def test_partitions_revoked_while_they_were_taken_in_are_no_trouble(db: Database, lab: str) -> None:
    consumer = Consumer(db, lab, "group", Ledger().handlers)
    async with reading(lab) as kafka:
        partition = TopicPartition(Counted.topic, 0)
        kafka.assign([partition])
        await consumer._tell_kafka(kafka)


def test_a_connection_used_after_the_server_ended_it_is_worth_another_try() -> None:
    assert is_transient(asyncpg.InternalClientError("cannot switch to state 12; operation (2) in progress"))


def test_of_several_problems_all_must_pass_by_themselves() -> None:
    assert is_transient(ExceptionGroup("two writers", [OSError(), TimeoutError()]))
    assert not is_transient(ExceptionGroup("two writers", [OSError(), ValueError()]))


async def test_where_kafka_thinks_we_are_does_not_matter(db: Database, lab: str) -> None:
    group = Counted.topic
    async with AIOKafkaConsumer(bootstrap_servers=lab, group_id=group, enable_auto_commit=False) as kafka:
        partitions = {TopicPartition(Counted.topic, p) for p in range(3)}
        kafka.assign(partitions)
        await kafka.commit(dict.fromkeys(partitions, 10**6))  # of a log that has since been cut, say
    await publish(db, "abc")
    async with running(Relay(db, lab), Consumer(db, lab, group, Ledger().handlers)):
        await until(partial(_is, db, "ledger", 3))


async def test_a_partition_lost_while_its_records_were_taken_in_is_no_trouble(db: Database, lab: str) -> None:
    consumer = Consumer(db, lab, "group", Ledger().handlers)
    kept, lost = TopicPartition(Counted.topic, 0), TopicPartition(Counted.topic, 1)
    async with reading(lab) as before, AIOKafkaConsumer(bootstrap_servers=lab, group_id="group") as after:
        before.assign({kept, lost})
        await consumer.claim(before, {kept, lost})
        after.assign({kept})
        await consumer._tell_kafka(after)
        consumer.let_go({lost})
        consumer._told_at, consumer._told = 0.0, {}
        await consumer._tell_kafka(after)
        consumer._measure_lag(after)


async def test_a_client_that_ends_as_cancelled_when_closed_does_not_end_us() -> None:
    async def stop() -> None:
        raise asyncio.CancelledError

    await close_within(1, stop(), "client")


async def test_a_statement_outdated_by_a_migration_is_worth_another_try(db: Database) -> None:
    async with db.tx() as tx:
        await tx.fetch("SELECT * FROM ledger")
        await tx.execute("ALTER TABLE ledger ADD COLUMN since date")
    with pytest.raises(asyncpg.InvalidCachedStatementError) as raised:
        async with db.tx() as tx:
            await tx.fetch("SELECT * FROM ledger")
    assert is_transient(raised.value)
    async with db.tx() as tx:
        await tx.fetch("SELECT * FROM ledger")
