"""Care of the model, by command and on schedule: fit, backtest, calibrate, compare, publish or refuse."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import structlog
from prometheus_client import Counter, Gauge

from scoring.care import attempts, domain, history, store
from scoring.care.attempts import Attempt
from scoring.care.domain import Served
from scoring.care.judging import History, Judgement, judge
from scoring.facts.reading import micros
from scoring.models.complaint_effect import Gamma
from scoring.models.score import Customers
from scoring.serving.figures import concatenated, customers_of
from scoring.settings import ScoringSettings
from shared.bus.outbox import Emitted, emit
from shared.clock import Clock
from shared.db import Database, Tx
from shared.errors import Conflict
from shared.events.scoring import ModelServed

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 60.0
ACTOR = "scoring"
"""Who decides where nobody does."""

_version = Gauge("patron_model_version", "The version of the served model, as this process last saw it")
_attempts = Counter("patron_models_fitted", "Models fitted by this process", ["outcome"])


@dataclass(frozen=True, slots=True)
class Made:
    """A fitted model, calibrated if that helps, what was decided about it, and the page that tells it."""

    model: Served
    judgement: Judgement
    page: str


async def make(db: Database, settings: ScoringSettings, at: datetime) -> Made:
    """A model fitted to the customers as they are now, judged in another thread; not yet stored or served."""
    customers, complaints = await _everybody(db, micros(at))
    past = await history.read(db, at)
    async with db.read() as tx:
        served, newest = await store.served_with(tx, settings), await store.find_newest(tx)
    assumed, days = settings.assumed_effect, settings.churn_horizon_days

    def fit() -> Made:
        made = domain.fit(customers, complaints, assumed, version=newest.version + 1, at=at)
        return _judged(made, served, past, assumed, days)

    return await asyncio.to_thread(fit)


def _judged(fitted: Served, served: Served, past: History, assumed: Gamma, horizon_days: int) -> Made:
    from scoring.care.report import render  # with what draws, two seconds to import

    judgement = judge(fitted.model, served.model, past, horizon_days, assumed)
    model = domain.calibrated(fitted, judgement.calibrator)
    return Made(model, judgement, render(judgement, model, served, past))


async def decide(tx: Tx, made: Made, at: datetime) -> Emitted:
    """Store the model with the decision, serve it from now on unless it is refused, and tell everybody."""
    judgement = made.judgement
    await store.insert(tx, made.model, judgement, made.page)
    if judgement.published:
        await store.lock_serving(tx)
        await store.serve(tx, made.model.version, at, ACTOR, judgement.why)
    refused = None if judgement.published else judgement.why
    (emitted,) = await emit(tx, domain.fitted(made.model, refused=refused), at=at)
    return emitted


async def serve_again(tx: Tx, version: int, at: datetime, actor: str, reason: str) -> Attempt:
    """Serve a model that was served before, from now on; the bands follow it. Nothing if it is served now."""
    await store.lock_serving(tx)
    attempt = await store.get_attempt(tx, version)
    if attempt.state == "served":
        return attempt
    attempts.may_serve(attempt)
    await store.serve(tx, version, at, actor, reason)
    await emit(tx, ModelServed(model=attempt.model.name, version=version, served_from=at), at=at)
    return await store.get_attempt(tx, version)


async def refit_on_schedule(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    """Try a new model whenever the latest has become old; by one worker at a time."""
    while True:
        async with db.read() as tx:
            served, newest = await store.served(tx), await store.find_newest(tx)
        _version.set(served.version)
        if domain.is_due(newest, settings.refit_hours, clock.now()):
            await _refit(db, clock, settings)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _refit(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    try:
        async with store.alone(db):
            async with db.read() as tx:
                newest = await store.find_newest(tx)
            if not domain.is_due(newest, settings.refit_hours, clock.now()):
                return  # another worker was quicker
            made = await make(db, settings, clock.now())
            if made.model.repeat_buyers == 0:
                return  # nothing to learn from yet
            async with db.tx() as tx:
                await decide(tx, made, clock.now())
            count(made)
    except Conflict as refused:
        log.info("no model fitted now", why=refused.detail)


def count(made: Made) -> None:
    """Log and count what was decided."""
    outcome = "published" if made.judgement.published else "refused"
    _attempts.labels(outcome).inc()
    log.info(
        f"model {outcome}", model=made.model.name, customers=made.model.customers, why=made.judgement.why
    )


async def _everybody(db: Database, now: int) -> tuple[Customers, int]:
    """Who has bought, and how many complaints they made."""
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
    return Customers(x, np.where(x > 0, t_x, 0.0), T, mean_amount, schedules), complaints
