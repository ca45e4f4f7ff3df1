"""The worker's job that keeps bands and lists true: by events and by time alone, on one path."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import Counter

from scoring.bands import domain, store
from scoring.bands.domain import SET_ASIDE, Due
from scoring.care import store as models
from scoring.care.domain import Served, with_margin
from scoring.settings import ScoringSettings
from shared.bus.outbox import emit
from shared.clock import Clock
from shared.db import Database, Tx

log = structlog.get_logger()

BATCH = 1000
EVERY_SECONDS = 0.5
"""Bands and lists follow an event or a timer within about this."""
SHARE_OF_TIME = 0.25
"""While much is due, so much of the worker's time goes here; the rest is for taking events in."""

_scored = Counter("patron_customers_scored", "Customers scored by this worker", ["because"])
_changed = Counter("patron_band_changes", "Changes of churn band told by this worker")


async def keep_bands(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    """Score whoever is due, then those whom another model than the served one scored."""
    while True:
        started = time.monotonic()
        room = BATCH - await score_changed(db, clock, settings)
        if room:
            await score_outdated(db, clock, settings, room)
        took = time.monotonic() - started
        await asyncio.sleep(max(EVERY_SECONDS, took * (1 / SHARE_OF_TIME - 1)))


async def score_changed(db: Database, clock: Clock, settings: ScoringSettings) -> int:
    """Score those with new facts, and those whose timer rang."""
    return await _score(
        db, clock, settings, "due", lambda tx, _: store.take_due(tx, clock.now(), BATCH)
    )  # fmt: skip


async def score_outdated(db: Database, clock: Clock, settings: ScoringSettings, limit: int = BATCH) -> int:
    """Score those whose figures are of a model or of weights that are served no more."""
    return await _score(
        db, clock, settings, "model", lambda tx, served: store.take_outdated(tx, served, limit)
    )


async def _score(
    db: Database,
    clock: Clock,
    settings: ScoringSettings,
    because: str,
    take: Callable[[Tx, Served], Awaitable[Sequence[Due]]],
) -> int:
    async with db.tx() as tx:
        served = with_margin(await models.served(tx), settings.margin)
        due = await take(tx, served)
        if not due:
            return 0
        now = clock.now()
        outcome = await asyncio.to_thread(domain.score_all, due, served, settings.churn_horizon_days, now)
        await store.save(tx, outcome.scores, served, now)
        await store.forget(tx, outcome.gone, served)
        await store.set_timers(tx, outcome.timers)
        await emit(tx, *outcome.changes, at=now)
    for customer_id, problem in outcome.failures.items():
        log.error("customer not scored", customer_id=str(customer_id), problem=problem, again_in=SET_ASIDE)
    _scored.labels(because).inc(len(due) - len(outcome.failures))
    _changed.inc(len(outcome.changes))
    return len(due)
