"""Reading values and losses, and comparing the methods, by command and after each fit of the model."""

import asyncio
from datetime import datetime
from uuid import UUID

import structlog

from scoring.care import store as models
from scoring.serving.domain import Known
from scoring.serving.handlers import read_known
from scoring.serving.schemas import ProgressView, ServedModelView
from scoring.settings import ScoringSettings
from scoring.value import domain, store
from scoring.value.domain import NO_PURCHASE_YET, NOT_COMPARED, Comparison
from scoring.value.losing import Factors, loss
from scoring.value.schemas import (
    LossView,
    PurchaseValueView,
    SourceView,
    ValueMethodsView,
    ValueView,
    total_of,
)
from shared.clock import Clock
from shared.db import Database
from shared.errors import Conflict

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 60.0


async def read_value(db: Database, settings: ScoringSettings, customer_id: UUID, now: datetime) -> ValueView:
    """What a customer is worth, source by source."""
    async with db.read() as tx:
        known, served = await read_known(tx, settings, customer_id)
        comparison = await store.find_latest(tx)
    worth = domain.worth(
        known.state,
        served,
        comparison,
        information_minor=settings.information_value_minor,
        knowledge_minor=settings.knowledge_value_minor,
        now=now,
    )
    terms = served.model.terms
    return ValueView(
        customer_id=customer_id,
        currency=settings.currency,
        months=terms.months,
        yearly_discount=terms.yearly_discount,
        margin=terms.margin,
        purchase=PurchaseValueView.of(worth.purchase, NO_PURCHASE_YET),
        word_of_mouth=SourceView.of(worth.word_of_mouth),
        information=SourceView.of(worth.information),
        knowledge=SourceView.of(worth.knowledge),
        total=total_of(worth),
        compared_at=comparison and comparison.compared_at,
        model=ServedModelView.of(served),
        as_of=now,
        progress=_progress(known),
    )


async def read_loss(
    db: Database, settings: ScoringSettings, customer_id: UUID, asked: Factors, now: datetime
) -> LossView:
    """What losing a customer costs, with every factor."""
    async with db.read() as tx:
        known, served = await read_known(tx, settings, customer_id)
    found = loss(known.state, served, asked, _set(settings), now)
    return LossView(
        customer_id=customer_id,
        currency=settings.currency,
        own_minor=found.own_minor,
        others=found.others,
        others_minor=found.others_minor,
        total_minor=found.total_minor,
        total_margin_minor=found.total_margin_minor,
        margin=settings.margin,
        factors=LossView.factors_of(found),
        model=ServedModelView.of(served),
        as_of=now,
        progress=_progress(known),
    )


async def read_methods(db: Database, settings: ScoringSettings) -> ValueMethodsView:
    """The last comparison."""
    async with db.read() as tx:
        latest = await store.find_latest(tx)
    return (
        ValueMethodsView.none_yet(NOT_COMPARED)
        if latest is None
        else ValueMethodsView.of(latest, settings.margin)
    )


async def compare(db: Database, at: datetime) -> Comparison:
    """A comparison on the purchases as they are now, in another thread; not yet stored or served."""
    purchases, one_in = await store.sample(db, at)
    async with db.read() as tx:
        served, latest = await models.served(tx), await store.find_latest(tx)
    version = 1 if latest is None else latest.version + 1
    return await asyncio.to_thread(
        domain.compare, purchases, version=version, model_version=served.version, one_in=one_in, at=at
    )


async def compare_after_each_fit(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    """Compare anew whenever another model is served, and as often as models are fitted; by one worker at a
    time."""
    while True:
        if await _is_due(db, clock, settings):
            await _compare_if_due(db, clock, settings)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _compare_if_due(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    try:
        async with models.alone(db):
            if not await _is_due(db, clock, settings):
                return  # another worker was quicker
            made = await compare(db, clock.now())
            async with db.tx() as tx:
                await store.insert(tx, made)
            log.info("value methods compared", customers=made.backtest.customers)
    except Conflict as refused:
        log.info("value methods not compared now", why=refused.detail)


async def _is_due(db: Database, clock: Clock, settings: ScoringSettings) -> bool:
    async with db.read() as tx:
        last, served = await store.find_latest(tx), await models.served(tx)
    return domain.is_due(last, served, settings.refit_hours, clock.now())


def _progress(known: Known) -> ProgressView:
    return ProgressView(orders=known.orders_seq, service_desk=known.service_desk_seq)


def _set(settings: ScoringSettings) -> Factors:
    return Factors(
        spend_per_week_minor=settings.loss_spend_per_week_minor,
        weeks_per_year=settings.loss_weeks_per_year,
        years=settings.loss_years,
        told=settings.loss_told,
        heeding_share=settings.loss_heeding_share,
        retold_to=settings.loss_retold_to,
        leaving_share=settings.loss_leaving_share,
    )
