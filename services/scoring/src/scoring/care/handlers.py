"""Fitting, by command and on schedule."""

import asyncio
from datetime import datetime

import numpy as np
import structlog
from prometheus_client import Gauge

from scoring.care import domain, store
from scoring.care.domain import Population, Served
from scoring.facts.reading import micros
from scoring.models.rfm import Rows
from scoring.models.score import Customers
from scoring.serving.figures import concatenated, customers_of
from scoring.settings import ScoringSettings
from shared.bus.outbox import Emitted, emit
from shared.clock import Clock
from shared.db import Database, Tx
from shared.errors import Conflict

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 60.0

_version = Gauge("patron_model_version", "The version of the served model, as this process last saw it")


async def fit_everybody(db: Database, at: datetime) -> Served:
    """A model fitted to the customers as they are now, in another thread; not yet stored or served."""
    population = await _population(db, micros(at))
    async with db.read() as tx:
        version = (await store.served(tx)).version + 1
    return await asyncio.to_thread(domain.fit, population, version=version, at=at)


async def publish(tx: Tx, model: Served, at: datetime) -> Emitted:
    """Store a model, serve it from now on, and tell everybody; the bands follow it."""
    await store.insert(tx, model)
    (emitted,) = await emit(tx, domain.fitted(model), at=at)
    return emitted


async def refit_on_schedule(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    """Fit anew whenever the served model has become old; by one worker at a time."""
    while True:
        async with db.read() as tx:
            served = await store.served(tx)
        _version.set(served.version)
        if domain.is_due(served, settings.refit_hours, clock.now()):
            await _refit(db, clock, settings)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _refit(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    try:
        async with store.alone(db):
            async with db.read() as tx:
                served = await store.served(tx)
            if not domain.is_due(served, settings.refit_hours, clock.now()):
                return  # another worker was quicker
            model = await fit_everybody(db, clock.now())
            if model.repeat_buyers == 0:
                return  # nothing to learn from yet
            async with db.tx() as tx:
                await publish(tx, model, clock.now())
            log.info("model fitted", model=model.name, customers=model.customers)
    except Conflict as refused:
        log.info("no model fitted now", why=refused.detail)


async def _population(db: Database, now: int) -> Population:
    parts: list[Customers] = []
    complaints = 0
    async for states in store.everybody(db):
        bought = [state for state in states if state.purchases]
        complaints += sum(state.complaints for state in bought)
        if bought:
            parts.append(customers_of(bought, now))
        await asyncio.sleep(0)
    x, t_x, T, mean_amount = (
        np.concatenate([getattr(part, column) for part in parts] or [np.empty(0)])
        for column in ("x", "t_x", "T", "mean_amount")
    )
    schedules = concatenated([(len(part.x), part.schedules) for part in parts])
    # Two purchases on the first day are one: for the fit, the silence begins with it.
    return Population(Rows.of(x, np.where(x > 0, t_x, 0.0), T), mean_amount, schedules, complaints)
