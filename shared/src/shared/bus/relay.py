"""Out: the relay sends what the outbox holds to Kafka, in order, and marks it sent."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from struct import iter_unpack
from uuid import uuid4

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Gauge

from shared.bus.closing import close_within
from shared.bus.outbox import headers, keep_partitions
from shared.bus.retry import Backoff, is_transient
from shared.db import Database, Tx
from shared.telemetry import record_messages

log = structlog.get_logger()

BATCH = 1000
POLL_SECONDS = 0.02
"""Pause after whatever was not a full batch: sending few at a time costs everybody more than it gains."""
LEASE_SECONDS = 5
HOUSEKEEPING_SECONDS = 600

_sent = Counter("patron_events_sent", "Events sent to Kafka by this process", ["topic"])
_backlog = Gauge("patron_outbox_backlog_age_seconds", "Age of the oldest event not yet sent")

_TAKE_LEASE = f"""
INSERT INTO relay_lease (name, owner, epoch, expires_at)
VALUES ('outbox', $1, 1, now() + interval '{LEASE_SECONDS} seconds')
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at,
    epoch = relay_lease.epoch + (relay_lease.owner <> excluded.owner)::int
WHERE relay_lease.owner = excluded.owner OR relay_lease.expires_at < now()
RETURNING epoch
"""
_GIVE_UP_LEASE = "UPDATE relay_lease SET expires_at = now() WHERE name = 'outbox' AND owner = $1"
# Not those after the last one read: what commits late has a lower id.
_UNSENT = f"""
WITH next AS MATERIALIZED (
    SELECT id, day FROM outbox_unsent WHERE id <> ALL($1::bigint[]) ORDER BY id LIMIT {BATCH}
)
SELECT id, topic, key, seq, event_id, type, at, correlation_id, causation_id, traceparent, payload
FROM outbox WHERE id = ANY(ARRAY(SELECT id FROM next)) AND day = ANY(ARRAY(SELECT day FROM next))
ORDER BY id
"""
_OLDEST = """
SELECT extract(epoch FROM clock_timestamp() - created_at)::float
FROM outbox WHERE (id, day) = (SELECT id, day FROM outbox_unsent ORDER BY id LIMIT 1)
"""
_MARK_SENT = """
WITH lease AS MATERIALIZED (
    SELECT FROM relay_lease WHERE name = 'outbox' AND owner = $2 AND epoch = $3 FOR SHARE
)
DELETE FROM outbox_unsent USING lease WHERE id = ANY($1::bigint[])
"""
# Plans are kept: one made while the tables were small must do when they have grown.
_BY_INDEX = "SET LOCAL enable_seqscan = off"


class LeaseLostError(Exception):
    """Another relay has taken over; this one must read again before it sends."""


@lru_cache(maxsize=100_000)
def partition_of(key: str, partitions: int) -> int:
    """The partition Kafka's own default partitioner would choose, so that every producer agrees."""
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's Java client has it; aiokafka's takes twice as long."""
    mixed = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for (part,) in iter_unpack("<I", data[:whole]):
        part = part * 0x5BD1E995 & 0xFFFFFFFF
        mixed = (mixed * 0x5BD1E995 ^ (part ^ part >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    if whole < len(data):
        mixed = (mixed ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return mixed ^ mixed >> 15


class Relay:
    """Sends one service's outbox. Several may run; one holds the lease, the others stand by."""

    def __init__(self, db: Database, bootstrap_servers: str) -> None:
        self._db = db
        self._bootstrap = bootstrap_servers
        self.owner = str(uuid4())
        self._epoch = 0
        self._leased_at = 0.0
        self._housekeeping_due = 0.0
        self._coming: asyncio.Task[list[asyncpg.Record]] | None = None

    async def run(self) -> None:
        """Send until cancelled. Trouble with the broker or database is waited out, with a fresh producer."""
        backoff = Backoff()
        try:
            while True:
                try:
                    await self._send_with_one_producer(backoff)
                except LeaseLostError:
                    log.warning("relay lease lost", owner=self.owner)
                except Exception as problem:
                    if not is_transient(problem):
                        log.exception("relay failed; starting over")
                    else:
                        log.warning("relay waits", problem=str(problem) or type(problem).__name__)
                    await backoff.wait()
        finally:
            await self._give_up_lease()

    async def _send_with_one_producer(self, backoff: Backoff) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=True,
            max_batch_size=262_144,
            compression_type="lz4",
            request_timeout_ms=15_000,
        )
        try:
            await self._measure_backlog()  # it grows while the producer cannot start
            await producer.start()
            while True:
                if not await self.hold_lease():
                    await self._forget_coming()
                    await self._measure_backlog()
                    await asyncio.sleep(LEASE_SECONDS / 5)
                    continue
                await self.keep_house()
                if await self.send_once(producer) < BATCH:
                    await asyncio.sleep(POLL_SECONDS)
                backoff.reset()
        finally:
            await self._forget_coming()
            await close_within(5, producer.stop(), "producer")

    async def keep_house(self) -> None:
        """See to the outbox's partitions now and then. They are made a week ahead: a backup goes first."""
        now = asyncio.get_running_loop().time()
        if now < self._housekeeping_due:
            return
        self._housekeeping_due = now + HOUSEKEEPING_SECONDS
        try:
            async with self._db.tx() as tx:
                await keep_partitions(tx)
        except asyncpg.LockNotAvailableError:
            log.warning("outbox in use, a backup perhaps: its partitions are seen to later")

    async def _measure_backlog(self) -> bool:
        """Tell the age of the oldest unsent event; answers whether there is one."""
        async with self._db.read() as connection:
            age = await connection.fetchval(_OLDEST)
        _backlog.set(age or 0)
        return age is not None

    async def hold_lease(self) -> bool:
        """Take the lease or renew it in good time; False while another relay holds it."""
        now = asyncio.get_running_loop().time()
        if self._epoch and now - self._leased_at < LEASE_SECONDS / 5:
            return True
        async with self._db.read() as connection:
            self._epoch = await connection.fetchval(_TAKE_LEASE, self.owner) or 0
        self._leased_at = now
        return self._epoch > 0

    async def _renew_lease(self) -> None:
        """While a slow broker takes its time: two relays would take the lease from each other for ever."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 5)
            await self.hold_lease()

    async def send_once(self, producer: AIOKafkaProducer) -> int:
        """Send the oldest unsent events; answers how many. Raises when some could not be sent.

        Where there are more, the next ones are read meanwhile.
        """
        coming, self._coming = self._coming, None
        records = await (coming or self._read([]))
        if len(records) == BATCH:
            self._coming = asyncio.create_task(self._read([r["id"] for r in records]))
        if not records:
            return 0
        began = time.time()
        streams: dict[tuple[str, int], list[asyncpg.Record]] = defaultdict(list)
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {r["topic"] for r in records}}
        for record in records:
            topic = record["topic"]
            streams[topic, partition_of(record["key"], counts[topic])].append(record)
        renewing = asyncio.create_task(self._renew_lease())
        try:
            results = await asyncio.gather(
                *(_send_stream(producer, topic, partition, found)
                  for (topic, partition), found in streams.items())
            )  # fmt: skip
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        sent = [record for done, _ in results for record in done]
        async with self._db.tx(
            wait_for_disk=False
        ) as tx:  # what a crash unmarks is sent twice, and counts once
            await self.mark_sent(tx, [r["id"] for r in sent])
        for (topic, _), (done, _) in zip(streams, results, strict=True):
            _sent.labels(topic).inc(len(done))
        record_messages("publish", SpanKind.PRODUCER, began, ((r["traceparent"], r["type"]) for r in sent))
        for _, problem in results:
            if problem is not None:
                raise problem
        return len(sent)

    async def _read(self, but: Sequence[int]) -> list[asyncpg.Record]:
        """The oldest unsent events but for some that are being sent."""
        if not await self._measure_backlog():  # as it mostly is
            return []
        async with self._db.tx() as tx:
            await tx.execute(_BY_INDEX)
            return list(await tx.fetch(_UNSENT, but))

    async def _forget_coming(self) -> None:
        """What was read ahead may be out of date."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
            self._coming = None

    async def mark_sent(self, tx: Tx, ids: Sequence[int]) -> None:
        """Mark events sent under the lease's epoch; raises `LeaseLostError` when the lease is another's."""
        if not ids:
            return
        await tx.execute(_BY_INDEX)
        if (await tx.execute(_MARK_SENT, ids, self.owner, self._epoch)) == "DELETE 0":
            self._epoch = 0
            raise LeaseLostError

    async def _give_up_lease(self) -> None:
        try:
            async with asyncio.timeout(2), self._db.read() as connection:
                await connection.execute(_GIVE_UP_LEASE, self.owner)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as problem:
            log.warning("relay lease left to expire", problem=str(problem))


async def _send_stream(
    producer: AIOKafkaProducer, topic: str, partition: int, records: list[asyncpg.Record]
) -> tuple[list[asyncpg.Record], Exception | None]:
    """Send one partition's events in order; answers those sent before the first failure, and the failure."""
    sent = 0
    try:
        while sent < len(records):
            batch = producer.create_batch()
            size = 0
            for r in records[sent:]:
                found = headers(
                    r["event_id"], r["type"], r["key"], r["seq"], r["at"],
                    r["correlation_id"], r["causation_id"], r["traceparent"],
                )  # fmt: skip
                encoded = [(name, value.encode()) for name, value in found.items()]
                if not batch.append(
                    key=r["key"].encode(), value=r["payload"], timestamp=None, headers=encoded
                ):
                    break
                size += 1
            await (await producer.send_batch(batch, topic, partition=partition))
            sent += size
    except (KafkaError, OSError, TimeoutError) as problem:
        return records[:sent], problem
    return records, None
