"""Rebuilding: a consumer counts the whole log again into the shadow, by which the live tables are mended."""

import asyncio
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from scoring.facts.handlers import COUNTED
from scoring.rebuilding import mending, shadow, store
from scoring.rebuilding.replay import LOG_CHANGED, replaying
from scoring.settings import ScoringSettings
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
        async with store.alone(db) as mine:
            if mine:
                await _look(db, settings)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _look(db: Database, settings: ScoringSettings) -> None:
    async with db.read() as tx:
        run, left = await store.find_open(tx), await shadow.is_there(tx)
    if run is not None:
        await rebuild(db, settings, run.id)
    elif left:  # of one that was given up while nobody was at it
        async with db.tx() as tx:
            await shadow.drop(tx)


async def rebuild(db: Database, settings: ScoringSettings, run_id: UUID) -> None:
    """Replay, compare and mend; interrupted, it goes on where it was when it is called again."""
    try:
        await _require_whole_log(settings.kafka_bootstrap_servers)
        kept = await _replay_and_mend(db, settings, run_id)
        async with db.tx() as tx:
            run = await store.finish(tx, run_id, kept)
            await shadow.drop(tx)
        log.info("rebuilt", customers=run.customers, different=run.different, kept=run.kept)
    except store.GivenUpError as cancelled:
        async with db.tx() as tx:
            await shadow.drop(tx)
        log.info("not rebuilt", why=str(cancelled))
    except Conflict as refused:
        async with db.tx() as tx:
            await store.fail(tx, run_id, refused.detail)
            await shadow.drop(tx)
        log.error("not rebuilt", why=refused.detail)


async def _replay_and_mend(db: Database, settings: ScoringSettings, run_id: UUID) -> int:
    """Answers how many customers were kept as people left them."""
    async with db.tx() as tx:
        run = await store.get(tx, run_id)
        await shadow.create(tx, anew=run.phase == "waiting")
    told = (settings.database_url, settings.kafka_bootstrap_servers, settings.currency, settings.log_format)
    async with replaying(*told) as processes:
        while True:
            await _catch_up(db, run_id, processes)
            async with db.tx() as tx:
                await mending.compare(tx)
            kept = await _mend(db, run_id, processes)
            if kept is not None:
                return kept


async def _catch_up(db: Database, run_id: UUID, processes: Sequence[Process]) -> None:
    """Note how far the replay is until little is missing."""
    began: tuple[float, int] | None = None
    while True:
        async with db.tx() as tx:
            total, done = await shadow.progress(tx)
            began = began or (time.monotonic(), done)
            passed = time.monotonic() - began[0]
            await store.note(tx, run_id, total, done, round((done - began[1]) / passed) if passed > 0 else 0)
        _require_running(processes)
        if total - done <= min(NEARLY_THERE, total // 1000):
            return
        await asyncio.sleep(NOTE_EVERY_SECONDS)


def _require_running(processes: Sequence[Process]) -> None:
    codes = [process.returncode for process in processes]
    if LOG_CHANGED in codes:
        raise Conflict(
            "The log is not the one that this rebuild began to count: it was cut or made anew."
            " Find out why, then ask for another rebuild."
        )
    if any(code is not None for code in codes):
        raise RuntimeError("a process of the replay has ended: see what it logged")


async def _mend(db: Database, run_id: UUID, processes: Sequence[Process]) -> int | None:
    """Mend whoever differs, some at a time; the live consumer goes on in between.

    Answers how many were kept, None when the shadow could not follow: then all is compared again.
    """
    after, kept = "", 0
    while True:
        async with db.tx() as tx:
            await shadow.hold_live(tx)
            if not await _caught_up(tx, processes):
                return None
            await shadow.hold(tx)
            mended = await mending.mend(tx, after)
            if mended is not None:
                await store.add_different(tx, run_id, mended.different)
                after, kept = mended.last, kept + mended.kept
                continue
            if not await mending.any_left(tx):
                return kept
        after = ""  # the others are looked at again when the live side has come further
        await asyncio.sleep(NOTE_EVERY_SECONDS)


async def _caught_up(tx: Tx, processes: Sequence[Process]) -> bool:
    """Whether the shadow has counted all that the live side has; waits, but not for long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        _require_running(processes)
        total, done = await shadow.progress(tx)
        if total == done:
            return True
        await asyncio.sleep(0.02)
    return False


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
