"""In: records from Kafka, taken in together with their offset, so that nothing counts twice or never."""

import asyncio
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from prometheus_client import Gauge

from shared.bus.closing import close_within
from shared.bus.inbox import Inbox
from shared.bus.reading import Handlers, Incoming, storable
from shared.bus.retry import Backoff, is_transient
from shared.db import Database, Tx

log = structlog.get_logger()

BATCH = 2000
LANES = 3
"""So many batches are on their way at a time, each of its own partitions: one is decoded and counted here
while PostgreSQL works on the others. The lane is of the number, so that a customer has one in all
topics that have as many partitions; where not, the rows' locks keep the order."""
AT_A_STRETCH = 100
"""So many records are decoded before the transaction of the batch before gets its turn again."""
TELL_KAFKA_EVERY_SECONDS = 1.0
_NONE = TopicPartition("", 0)

_lag = Gauge("patron_consumer_lag", "Records behind the end of the log", ["topic", "partition"])
_stopped = Gauge("patron_consumer_stopped", "1 when a changed log stopped the consumer: see the log")

_CLAIM = """
INSERT INTO consumer_offset (group_id, topic, partition, next_offset, epoch, owner)
SELECT $1, topic, partition, start, 1, $2
FROM unnest($3::text[], $4::int[], $5::bigint[]) AS n (topic, partition, start)
ON CONFLICT (group_id, topic, partition) DO UPDATE
SET epoch = consumer_offset.epoch + 1, owner = excluded.owner
RETURNING topic, partition, next_offset, epoch, fingerprint
"""
_COMPARE_AND_SET = """
UPDATE consumer_offset o SET next_offset = n.next_offset, fingerprint = n.fingerprint
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
    AS n (topic, partition, epoch, expected, next_offset, fingerprint)
WHERE o.group_id = $1 AND o.topic = n.topic AND o.partition = n.partition
  AND o.epoch = n.epoch AND o.next_offset = n.expected
RETURNING o.topic, o.partition
"""
# Plans are kept: one made while a table was small must do when it has grown. A connection's first five of a
# statement are made for the very values given, and where there are many, read a whole index.
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan"


class LogChangedError(Exception):
    """The log is not the one that was read before: truncated or recreated. Somebody must decide."""


class FencedError(Exception):
    """Other processes have claimed some of the partitions since."""

    def __init__(self, partitions: set[TopicPartition]) -> None:
        super().__init__(", ".join(f"{p.topic}/{p.partition}" for p in sorted(partitions)))
        self.partitions = partitions


@dataclass(slots=True)
class _Claim:
    """A partition this process reads: under which epoch, what is next, and what it remembers of before."""

    epoch: int
    next_offset: int
    remembered: str | None
    """Fingerprint of the record before `next_offset`, until it was compared with the log's."""


@dataclass(slots=True)
class Batch:
    """Read at one time: per partition the claim it was read under, the last record, and all of them."""

    claims: dict[TopicPartition, _Claim] = field(default_factory=dict)
    last: dict[TopicPartition, ConsumerRecord] = field(default_factory=dict)
    incomings: dict[TopicPartition, list[Incoming]] = field(default_factory=dict)

    def only(self, partitions: Collection[TopicPartition]) -> "Batch":
        """The part of it that concerns these partitions."""
        return Batch(
            *({p: of[p] for p in partitions} for of in (self.claims, self.last, self.incomings))  # type: ignore[arg-type]
        )


class Consumer:
    """Consumes for one service: every topic that its handlers name, in one consumer group."""

    def __init__(self, db: Database, bootstrap_servers: str, group: str, handlers: Handlers) -> None:
        self._db = db
        self._bootstrap = bootstrap_servers
        self._group = group
        self.inbox = Inbox(handlers)
        self.owner = str(uuid4())
        self._claims: dict[TopicPartition, _Claim] = {}
        self._told: dict[TopicPartition, int] = {}
        self._told_at = 0.0

    @property
    def reading(self) -> bool:
        """Whether it has joined its group and claimed partitions."""
        return bool(self._claims)

    async def run(self) -> None:
        """Consume until cancelled. Trouble passes by waiting; a changed log stops it with an alert."""
        backoff = Backoff()
        while True:
            try:
                await self._consume(backoff)
            except LogChangedError as problem:
                _stopped.set(1)
                log.critical(
                    "consumer stopped", problem=str(problem), then="see docs/operations.md, 'A changed log'"
                )
                return
            except Exception as problem:
                log.warning("consumer starts over", problem=repr(problem), expected=is_transient(problem))
                await backoff.wait()

    async def _consume(self, backoff: Backoff) -> None:
        self.let_go(set(self._claims))
        kafka = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=10_000,  # how long the partitions of a killed worker wait for another
            rebalance_timeout_ms=60_000,
            max_poll_records=BATCH,
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=2_097_152,
        )
        assignment = _Assignment(self, kafka)
        kafka.subscribe(self.inbox.topics, listener=assignment)
        lanes: list[asyncio.Task[None]] = []
        try:
            await kafka.start()
            lanes += [
                asyncio.create_task(self._keep_taking_in(kafka, assignment, lane, backoff))
                for lane in range(LANES)
            ]
            await asyncio.gather(*lanes)
        finally:
            for task in lanes:
                task.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            await close_within(5, kafka.stop(), "consumer")

    async def _keep_taking_in(
        self, kafka: AIOKafkaConsumer, assignment: "_Assignment", lane: int, backoff: Backoff
    ) -> None:
        ahead = asyncio.create_task(self._read(kafka, assignment, lane))
        try:
            while True:
                batch = await ahead
                # The next batch is read and decoded while PostgreSQL works on this one.
                ahead = asyncio.create_task(self._read(kafka, assignment, lane))
                if batch.incomings:
                    await self._take_in_until_it_works(batch)
                    backoff.reset()
                await self._tell_kafka(kafka)
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _read(self, kafka: AIOKafkaConsumer, assignment: "_Assignment", lane: int) -> Batch:
        """What Kafka has next of this lane's partitions; empty when nothing comes within 200 ms."""
        ours = [p for p in self._claims if p.partition % LANES == lane]
        try:
            # Who has none asks all the same: by that aiokafka knows that we live.
            found = await kafka.getmany(*ours or [_NONE], timeout_ms=200, max_records=BATCH)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as problem:
            # Until a partition is claimed aiokafka reads from what we told Kafka, which may be long
            # gone; the position comes from our table.
            if isinstance(problem, OffsetOutOfRangeError) and self._claims.keys() & problem.args[0]:
                raise LogChangedError(repr(problem)) from problem
            found = {}
            await asyncio.sleep(0.05)
        if assignment.log_changed is not None:
            raise assignment.log_changed
        self._measure_lag(kafka)
        return await self.decoded({p: r for p, r in found.items() if p in self._claims and r})

    async def decoded(self, found: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> Batch:
        """The records from our positions on, read as far as they can be."""
        batch = Batch({p: self._claims[p] for p in found})
        new = {p: self._new(p, records) for p, records in found.items()}
        for partition, records in new.items():
            incomings: list[Incoming] = []
            for start in range(0, len(records), AT_A_STRETCH):
                incomings += [self.inbox.read(incoming(r)) for r in records[start : start + AT_A_STRETCH]]
                await asyncio.sleep(0)  # a turn for the transaction that runs meanwhile
            if incomings:
                batch.incomings[partition], batch.last[partition] = incomings, records[-1]
        return batch

    async def claim(self, kafka: AIOKafkaConsumer, assigned: set[TopicPartition]) -> None:
        """Take partitions over: raise their epoch, so that the owner before is fenced; seek to the truth."""
        if not assigned:
            return
        starts = await kafka.beginning_offsets(list(assigned))
        ends = await kafka.end_offsets(list(assigned))
        ordered = sorted(assigned)
        async with self._db.tx() as tx:
            records = await tx.fetch(
                _CLAIM, self._group, self.owner,
                [p.topic for p in ordered], [p.partition for p in ordered], [starts[p] for p in ordered],
            )  # fmt: skip
        for r in records:
            partition = TopicPartition(r["topic"], r["partition"])
            next_offset, remembered = r["next_offset"], r["fingerprint"]
            if not starts[partition] <= next_offset <= ends[partition]:
                raise LogChangedError(
                    f"{partition.topic}/{partition.partition} holds offsets {starts[partition]} to"
                    f" {ends[partition]}, the next to be read is {next_offset}"
                )
            # The record before ours is read again, to see that it is still the one we remember.
            look_back = remembered is not None and next_offset > starts[partition]
            self._claims[partition] = _Claim(r["epoch"], next_offset, remembered if look_back else None)
            kafka.seek(partition, next_offset - 1 if look_back else next_offset)

    def let_go(self, partitions: set[TopicPartition]) -> None:
        """These partitions are another process's now."""
        for partition in partitions:
            self._claims.pop(partition, None)
            _lag.remove(partition.topic, partition.partition)  # or it would say for ever what it says now

    async def _take_in_until_it_works(self, batch: Batch) -> None:
        backoff = Backoff()
        # Records belong to the claim they were read under: a partition that left and came back is read again.
        while ours := [p for p in batch.incomings if self._claims.get(p) is batch.claims[p]]:
            try:
                await self._take_in(batch.only(ours))
            except FencedError as fenced:
                log.warning("fenced", partitions=str(fenced))
                if any(self._claims.get(p) is batch.claims[p] for p in fenced.partitions):
                    # We slept, or our own commit went through and its answer was lost: join anew.
                    raise
            except Exception as problem:
                if not is_transient(problem):
                    raise
                log.warning("consumer waits", problem=repr(problem))
                await backoff.wait()
            else:
                return

    def _new(self, partition: TopicPartition, found: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
        """The records from our position on; the one before must be the one we remember."""
        claim = self._claims[partition]
        if claim.remembered is not None:
            before = found[0]
            if before.offset != claim.next_offset - 1 or fingerprint(before) != claim.remembered:
                raise LogChangedError(
                    f"{partition.topic}/{partition.partition}: the record before offset {claim.next_offset}"
                    " is not the one that was read; the topic was recreated"
                )
            claim.remembered = None
        return [record for record in found if record.offset >= claim.next_offset]

    async def _take_in(self, batch: Batch) -> None:
        """One transaction: the offsets move if they are still ours, and what they stand for is applied."""
        # Not waiting for the disk: what a crash of PostgreSQL takes back, it takes back with its offsets.
        async with self._db.tx(wait_for_disk=False) as tx:
            await tx.execute(_BY_INDEX)
            await self.compare_and_set(tx, batch.last, batch.claims)
            await self.inbox.take_in(tx, [i for p in sorted(batch.incomings) for i in batch.incomings[p]])
        for partition, last in batch.last.items():
            batch.claims[partition].next_offset = last.offset + 1

    async def compare_and_set(
        self,
        tx: Tx,
        last: Mapping[TopicPartition, ConsumerRecord],
        claims: Mapping[TopicPartition, _Claim],
    ) -> None:
        """Move the offsets past these records; raises `FencedError` for those that are no longer ours."""
        partitions = sorted(last)
        moved = await tx.fetch(
            _COMPARE_AND_SET,
            self._group,
            [p.topic for p in partitions],
            [p.partition for p in partitions],
            [claims[p].epoch for p in partitions],
            [claims[p].next_offset for p in partitions],
            [last[p].offset + 1 for p in partitions],
            [fingerprint(last[p]) for p in partitions],
        )
        ours = {TopicPartition(r["topic"], r["partition"]) for r in moved}
        if len(ours) < len(partitions):
            raise FencedError(set(partitions) - ours)

    async def _tell_kafka(self, kafka: AIOKafkaConsumer) -> None:
        """Best effort, once a second, for the lag tools: the truth is in the database."""
        now = time.monotonic()
        if now - self._told_at < TELL_KAFKA_EVERY_SECONDS:
            return
        reached = {p: claim.next_offset for p, claim in self._claims.items()}
        news = {p: offset for p, offset in reached.items() if self._told.get(p) != offset}
        if not news:
            return
        self._told_at, self._told = now, reached
        try:
            async with asyncio.timeout(5):  # aiokafka would try until the group's coordinator is back
                await kafka.commit(news)
        except (KafkaError, OSError, TimeoutError) as problem:
            log.info("offsets not told to Kafka", problem=str(problem))

    def _measure_lag(self, kafka: AIOKafkaConsumer) -> None:
        for partition in self._claims.keys() & kafka.assignment():
            end = kafka.highwater(partition)
            if end is not None:
                behind = max(0, end - self._claims[partition].next_offset)
                _lag.labels(partition.topic, partition.partition).set(behind)


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka publishes no types
    """Claims what Kafka assigns, lets go of what it revokes."""

    def __init__(self, consumer: Consumer, kafka: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._kafka = kafka
        self.log_changed: LogChangedError | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer.let_go(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        # aiokafka only logs what a listener raises: so wait out what passes, and remember the rest.
        backoff = Backoff()
        while True:
            try:
                await self._consumer.claim(self._kafka, assigned)
            except LogChangedError as problem:
                self.log_changed = problem
            except Exception as problem:
                log.warning("claim waits", problem=repr(problem), expected=is_transient(problem))
                await backoff.wait()
                continue
            return


def fingerprint(record: ConsumerRecord) -> str:
    """What a record is recognised by when the log is looked at again."""
    event_id = _text(dict(record.headers).get("ce_id"))
    return f"{event_id}:{zlib.crc32(record.value or b''):08x}"


def incoming(record: ConsumerRecord) -> Incoming:
    """The record as the inbox takes it; bytes that are no text are kept raw where it matters."""
    try:
        found = {name: value.decode() for name, value in record.headers}
    except (UnicodeDecodeError, AttributeError):  # no text, or null
        found = {name: _text(value) for name, value in record.headers}
    return Incoming(record.topic, found, record.value, record.key, record.partition, record.offset)


def _text(value: bytes | None) -> str:
    return storable((value or b"").decode("utf-8", "replace"))
