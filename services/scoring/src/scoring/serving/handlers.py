"""Reading a score or its receipt, computed at the moment of reading."""

from datetime import datetime
from uuid import UUID

from scoring.care import store as models
from scoring.care.domain import Served
from scoring.serving import receipts, store
from scoring.serving.domain import Known, Scored
from scoring.serving.receipts import Citations, Receipt
from scoring.serving.schemas import (
    ChurnReceiptView,
    ChurnView,
    IntervalsView,
    LoyaltyReceiptView,
    LoyaltyView,
    ProgressView,
    ReasonView,
    ReceiptView,
    ScoreView,
    ServedModelView,
    ValueReceiptView,
)
from scoring.serving.together import Question, Together
from scoring.settings import ScoringSettings
from shared.db import Database, Tx


async def read_score(
    together: Together,
    settings: ScoringSettings,
    customer_id: UUID,
    horizon_days: int | None,
    language: str,
    with_intervals: bool | None,
    now: datetime,
) -> ScoreView:
    """A customer's score within a horizon, by default the deployment's."""
    days = horizon_days or settings.churn_horizon_days
    known, served, scored, as_of = await together.ask(Question(customer_id, days, with_intervals, now))
    return score_view(known, scored, served, settings, days, language, as_of)


async def read_receipt(
    db: Database,
    settings: ScoringSettings,
    customer_id: UUID,
    horizon_days: int | None,
    language: str,
    now: datetime,
) -> ReceiptView:
    """What that score is made of."""
    async with db.read() as tx:
        known, served = await read_known(tx, settings, customer_id)
        citations = await store.cite(tx, customer_id)
    return receipt_view(known, citations, served, settings, horizon_days, language, now)


async def read_known(tx: Tx, settings: ScoringSettings, customer_id: UUID) -> tuple[Known, Served]:
    """What is known of a customer, and the model to score them with."""
    known = await store.get(tx, customer_id)
    return known, await models.served_with(tx, settings)


def score_view(
    known: Known,
    scored: Scored,
    served: Served,
    settings: ScoringSettings,
    horizon_days: int,
    language: str,
    as_of: datetime,
) -> ScoreView:
    """The score of what is known, as it is answered."""
    score, reasons, intervals = scored
    return ScoreView(
        customer_id=known.customer_id,
        p_alive=score.p_alive if score else None,
        churn=ChurnView.of(score, horizon_days) if score else None,
        expected_purchases=score.expected_purchases if score else None,
        intervals=intervals and IntervalsView.model_validate(intervals),
        loyalty=LoyaltyView.of(score.loyalty) if score else None,
        value_minor=score.value_minor if score else None,
        currency=settings.currency,
        reasons=[ReasonView.of(reason, language) for reason in reasons],
        model=ServedModelView.of(served),
        as_of=as_of,
        progress=_progress(known),
    )


def receipt_view(
    known: Known,
    citations: Citations,
    served: Served,
    settings: ScoringSettings,
    horizon_days: int | None,
    language: str,
    as_of: datetime,
) -> ReceiptView:
    """The receipt of what is known, as it is answered."""
    band_days, currency = settings.churn_horizon_days, settings.currency
    days = horizon_days or band_days
    found = receipts.receipt(known, citations, served, days, band_days, currency, as_of)
    made = found if isinstance(found, Receipt) else None
    return ReceiptView(
        customer_id=known.customer_id,
        churn=ChurnReceiptView.of_receipt(made, days, language) if made else None,
        loyalty=LoyaltyReceiptView.of(made, language) if made else None,
        value=ValueReceiptView.of(made, currency, language) if made else None,
        unscored=None if isinstance(found, Receipt) else ReasonView.of(found, language),
        model=ServedModelView.of(served),
        as_of=as_of,
        progress=_progress(known),
    )


def _progress(known: Known) -> ProgressView:
    return ProgressView(orders=known.orders_seq, service_desk=known.service_desk_seq)
