"""Reading a score, computed at the moment of reading."""

from datetime import datetime
from uuid import UUID

from scoring.care import store as models
from scoring.care.domain import Served, with_margin
from scoring.serving import domain, store
from scoring.serving.domain import Known, Reason, Score
from scoring.serving.schemas import (
    ChurnView,
    IndicatorView,
    LoyaltyView,
    ProgressView,
    ReasonView,
    ScoreView,
    ServedModelView,
)
from scoring.settings import ScoringSettings
from shared.db import Database


async def read_score(
    db: Database, settings: ScoringSettings, customer_id: UUID, horizon_days: int | None, now: datetime
) -> ScoreView:
    """A customer's score within a horizon, by default the deployment's."""
    async with db.read() as tx:
        known = await store.get(tx, customer_id)
        served = with_margin(await models.served(tx), settings.margin)
    band_days = settings.churn_horizon_days
    days = horizon_days or band_days
    score, reasons = domain.score(known, served, days, band_days, now)
    return view(known, served, score, reasons, days, settings.currency, now)


def view(
    known: Known,
    served: Served,
    score: Score | None,
    reasons: list[Reason],
    horizon_days: int,
    currency: str,
    now: datetime,
) -> ScoreView:
    """A score as it is answered."""
    return ScoreView(
        customer_id=known.customer_id,
        p_alive=score.p_alive if score else None,
        churn=_churn(score, horizon_days) if score else None,
        expected_purchases=score.expected_purchases if score else None,
        loyalty=_loyalty(score) if score else None,
        value_minor=score.value_minor if score else None,
        currency=currency,
        reasons=[
            ReasonView(code=r.code, contribution=r.contribution, evidence=list(r.evidence), text=r.text)
            for r in reasons
        ],
        model=ServedModelView.of(served),
        as_of=now,
        progress=ProgressView(orders=known.orders_seq, service_desk=known.service_desk_seq),
    )


def _churn(score: Score, horizon_days: int) -> ChurnView:
    return ChurnView(
        probability=score.churn, log_odds=score.log_odds, band=score.band, horizon_days=horizon_days
    )


def _loyalty(score: Score) -> LoyaltyView:
    return LoyaltyView(
        index=score.loyalty.index or 0.0,
        coverage=score.loyalty.coverage,
        weights_version=score.loyalty.weights_version,
        indicators=[
            IndicatorView(code=code, value=i.value, weight=i.weight, observed=i.observed)
            for code, i in score.loyalty.indicators.items()
        ],
    )
