"""The worker's job that keeps bands and lists true: by events and by time alone, on one path."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from prometheus_client import Counter

from scoring.bands import domain, store
from scoring.bands.domain import SET_ASIDE, Change, Due, Outcome
from scoring.bands.store import Place
from scoring.care import store as models
from scoring.care.domain import Served
from scoring.settings import ScoringSettings
from shared.bus.outbox import emit
from shared.clock import Clock
from shared.db import Database, Tx
from shared.events.scoring import ChurnBandChanged

log = structlog.get_logger()

BATCH = 1000
MANY = 4000
"""So many bands that begin are told in one transaction."""
FEW = 200
"""So many who have changed while they were scored are scored again under their locks, or whoever changes all
the time never would be. A lane of the consumer that has an event of one of them waits: about 30 ms, and with
50 half as long; but of many who change all the time only so many are scored at each look."""
WRITERS = 2
"""So many of these transactions at a time, while the bands of the next one are computed."""
EVERY_SECONDS = 0.5
"""Bands and lists follow an event or a timer within about this."""
SHARE_OF_TIME = 0.25
"""While a backlog of events is taken in, so much of the worker's time goes here; the rest is theirs."""
BACKLOG = 1000
"""So many events a second make one: below, taking them in leaves most of the worker's time to others."""

_scored = Counter("patron_customers_scored", "Customers scored by this worker", ["because"])
_changed = Counter("patron_band_changes", "Changes of churn band told by this worker")


async def keep_bands(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    """Tell of bands that begin, score whoever is due, then whoever was scored with another model."""
    told, reached = store.FIRST, await _reached(db)
    while True:
        told = await tell_beginnings(db, clock, settings, told)
        pause, reached = await look(db, clock, settings, reached)
        # Never in step with another worker, who would score the same customers.
        await asyncio.sleep(pause * random.uniform(0.7, 1.0))  # noqa: S311


class Reached(NamedTuple):
    """How far the workers had come in the logs, in events, and when, in seconds."""

    events: int
    at: float


async def _reached(db: Database) -> Reached:
    async with db.read() as tx:
        return Reached(await store.events_taken_in(tx), time.monotonic())


async def look(
    db: Database, clock: Clock, settings: ScoringSettings, before: Reached
) -> tuple[float, Reached]:
    """Score a batch of whoever is due, or else outdated; answers after how many seconds to look again.

    At once where there was a whole batch of them, as more are left, unless since the look before events have
    come in by the thousand.
    """
    started = time.monotonic()
    done = await score_changed(db, clock, settings)
    if done < BATCH:
        done += await score_outdated(db, clock, settings, BATCH - done)
    now = await _reached(db)
    backlog = now.events - before.events > BACKLOG * (now.at - before.at)
    if done >= BATCH and not backlog:
        return 0.0, now
    return max(EVERY_SECONDS, (now.at - started) * (1 / SHARE_OF_TIME - 1)), now


async def tell_beginnings(
    db: Database, clock: Clock, settings: ScoringSettings, after: Place = store.FIRST
) -> Place:
    """Tell of all bands that time alone has begun by now, however many; their other figures follow.

    Looks only at timers that come after a place, each once; answers up to where it has. Whoever is passed
    over here, as somebody else holds them or their score cannot be computed, is met when all who are due are.
    """
    room = asyncio.Semaphore(WRITERS)
    async with asyncio.TaskGroup() as telling:
        while True:
            async with db.snapshot() as tx:
                served = await models.served_with(tx, settings)
                due, after, more = await store.find_beginning(tx, clock.now(), after, MANY)
            now = clock.now()
            found = await asyncio.to_thread(domain.changes_of, due, served, settings.churn_horizon_days, now)
            for customer_id, problem in found.failures.items():
                log.error("band not computed", customer_id=str(customer_id), problem=problem)
            if found.changes:
                await room.acquire()
                task = telling.create_task(_tell(db, due, found.changes, served, settings, now))
                task.add_done_callback(lambda _: room.release())
            if not more:  # whoever becomes due meanwhile is for the next look, or it might never end
                return after


async def _tell(
    db: Database,
    due: Sequence[Due],
    changes: Sequence[Change],
    served: Served,
    settings: ScoringSettings,
    now: datetime,
) -> None:
    async with db.tx() as tx:
        held = {one.customer_id for one in await store.lock_unchanged(tx, due)}
        told = await store.tell(tx, [change for change in changes if change.customer_id in held])
        await _publish(tx, told, served, settings, now)
    _changed.inc(len(told))


async def _publish(
    tx: Tx, changes: Sequence[Change], served: Served, settings: ScoringSettings, now: datetime
) -> None:
    if not changes:
        return
    counted = await store.events_counted(tx, [change.customer_id for change in changes])
    events = [
        ChurnBandChanged(
            customer_id=who, before=before, after=after, churn_probability=churn,
            horizon_days=settings.churn_horizon_days, model=served.name, scored_at=now, crossed_at=crossed_at,
            orders_seq=counted[who][0], service_desk_seq=counted[who][1],
        )
        for who, before, after, churn, crossed_at in changes
    ]  # fmt: skip
    await emit(tx, *events, at=now)


async def score_changed(db: Database, clock: Clock, settings: ScoringSettings) -> int:
    """Score those with new facts, and those whose timer rang; answers how many."""
    return await _score(
        db, clock, settings, "due", lambda tx, _: store.find_due(tx, clock.now(), BATCH)
    )  # fmt: skip


async def score_outdated(db: Database, clock: Clock, settings: ScoringSettings, limit: int = BATCH) -> int:
    """Score those whose figures are of a model or of weights that are served no more; answers how many."""
    return await _score(
        db, clock, settings, "model", lambda tx, served: store.find_outdated(tx, served, clock.now(), limit)
    )


async def _score(
    db: Database,
    clock: Clock,
    settings: ScoringSettings,
    because: str,
    find: Callable[[Tx, Served], Awaitable[Sequence[Due]]],
) -> int:
    """Nobody is held while they are scored; whoever is another since is not saved, and met again."""
    async with db.snapshot() as tx:
        served = await models.served_with(tx, settings)
        due = await find(tx, served)
    if not due:
        return 0
    days = settings.churn_horizon_days
    now = clock.now()
    outcome = await asyncio.to_thread(domain.score_all, due, served, days, now)
    async with db.tx(wait_for_disk=False) as tx:  # what a crash takes back is due again
        same = await store.as_told(tx, await store.lock_unchanged(tx, due))
        if len(same) < len(due):
            outcome = outcome.only(same)
        await _save(tx, outcome, served, settings, now)
    _count(outcome, because)
    done = len(outcome.timers)
    others = [one for one in due if one.customer_id not in same]
    if others:
        async with db.tx(wait_for_disk=False) as tx:
            held = await store.lock_changed(tx, others, FEW)
            now = clock.now()
            outcome = await asyncio.to_thread(domain.score_all, held, served, days, now)
            await _save(tx, outcome, served, settings, now)
        _count(outcome, because)
        done += len(outcome.timers)
    return done


async def _save(tx: Tx, outcome: Outcome, served: Served, settings: ScoringSettings, now: datetime) -> None:
    await store.save(tx, outcome.scores, served, now)
    await store.forget(tx, outcome.gone, served)
    await store.set_aside(tx, list(outcome.failures), now + SET_ASIDE)
    await store.set_timers(tx, outcome.timers)
    await _publish(tx, outcome.changes, served, settings, now)


def _count(outcome: Outcome, because: str) -> None:
    for customer_id, problem in outcome.failures.items():
        log.error("customer not scored", customer_id=str(customer_id), problem=problem, again_in=SET_ASIDE)
    _scored.labels(because).inc(len(outcome.timers) - len(outcome.failures))
    _changed.inc(len(outcome.changes))
