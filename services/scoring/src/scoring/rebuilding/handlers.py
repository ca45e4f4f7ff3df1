"""Rebuilding: the consumer counts the whole log again into the shadow, which then takes the live place."""

import asyncio
import time
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from scoring.facts.handlers import COUNTED, handlers_in
from scoring.rebuilding import shadow, store
from scoring.rebuilding.shadow import Found
from scoring.settings import ScoringSettings
from shared.bus.consumer import Consumer
from shared.clock import Clock
from shared.db import Database, Tx
from shared.errors import Conflict

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 2.0
NOTE_EVERY_SECONDS = 0.5
NEARLY_THERE = 2000
"""So few events behind, the live consumer may wait for the shadow."""
PATIENCE_SECONDS = 8.0


async def rebuild_on_request(db: Database, _clock: Clock, settings: ScoringSettings) -> None:
    """Do what was asked for, and go on with what was interrupted; one process at a time."""
    while True:
        async with db.read() as tx:
            run = await store.find_open(tx)
        if run is not None:
            async with store.alone(db) as mine:
                if mine:
                    await rebuild(db, settings, run.id)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def rebuild(db: Database, settings: ScoringSettings, run_id: UUID) -> None:
    """Replay, compare and swap; interrupted, it goes on where it was when it is called again."""
    try:
        await _require_whole_log(settings.kafka_bootstrap_servers)
    except Conflict as refused:
        async with db.tx() as tx:
            await store.fail(tx, run_id, refused.detail)
        return
    async with db.tx() as tx:
        await shadow.create(tx)
    beside = await Database.open(settings.database_url, size=3, schema=shadow.SCHEMA)
    handlers = handlers_in(settings.currency)
    consumer = Consumer(beside, settings.kafka_bootstrap_servers, shadow.SHADOW_GROUP, handlers)
    replaying = asyncio.create_task(consumer.run())
    try:
        found = None
        while found is None:
            await _catch_up(db, run_id, consumer)
            async with db.tx() as tx:  # most of it now, so that the live consumer hardly waits for the rest
                await shadow.take_over_timers(tx)
            found = await _swap(db, run_id)
        log.info("rebuilt", customers=found.customers, different=found.different, kept=found.kept)
    finally:
        replaying.cancel()
        await asyncio.gather(replaying, return_exceptions=True)
        await beside.close()


async def _catch_up(db: Database, run_id: UUID, consumer: Consumer) -> None:
    """Note how far the replay is until little is missing."""
    began: tuple[float, int] | None = None
    while True:
        async with db.tx() as tx:
            total, done = await shadow.progress(tx)
            began = began or (time.monotonic(), done)
            passed = time.monotonic() - began[0]
            await store.note(tx, run_id, total, done, round((done - began[1]) / passed) if passed > 0 else 0)
        if consumer.reading and total - done <= NEARLY_THERE:
            return
        await asyncio.sleep(NOTE_EVERY_SECONDS)


async def _swap(db: Database, run_id: UUID) -> Found | None:
    """Let the live consumer wait, the shadow catch up, and swap; None when it took too long."""
    async with db.tx() as tx:
        await shadow.hold_live(tx)
        events = await _caught_up(tx)
        if events is None:
            return None
        found = await shadow.swap(tx)
        await store.finish(tx, run_id, events, found)
        return found


async def _caught_up(tx: Tx) -> int | None:
    """How many events there are, once the shadow has counted them all; None when it takes too long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        total, done = await shadow.progress(tx)
        if total == done:
            return total
        await asyncio.sleep(0.02)
    return None


async def _require_whole_log(bootstrap: str) -> None:
    topics = sorted({event.topic for event in COUNTED})
    kafka = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap)
    await kafka.start()
    try:
        partitions = [TopicPartition(t, p) for t in topics for p in kafka.partitions_for_topic(t) or ()]
        starts = await kafka.beginning_offsets(partitions)
    finally:
        await kafka.stop()
    cut = [f"{p.topic}/{p.partition} begins at {offset}" for p, offset in sorted(starts.items()) if offset]
    if cut:
        raise Conflict(
            f"The log no longer reaches back to the beginning ({', '.join(cut[:3])}): a rebuild would forget"
            " what scoring has counted. The topics need retention.ms=-1."
        )
