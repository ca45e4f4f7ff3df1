"""Shapes of scores in answers."""

from datetime import datetime
from uuid import UUID

from scoring.care.domain import Served
from shared.events.scoring import Band
from shared.web.fields import View


class ChurnView(View):
    """The probability that nothing is bought within the horizon, its log-odds, to which the reasons add up,
    and the band, which always is of the deployment's own horizon."""

    probability: float
    log_odds: float
    band: Band
    horizon_days: int


class IndicatorView(View):
    """One of the indicators of loyalty, from 0 to 1; null where there is no evidence for it."""

    code: str
    value: float | None
    weight: float
    observed: bool


class LoyaltyView(View):
    """From 0 to 100 over the indicators observed; `coverage` is their share of all weights."""

    index: float
    coverage: float
    weights_version: str
    indicators: list[IndicatorView]


class ReasonView(View):
    """What one thing adds to the log-odds of churn, and the events it is known from."""

    code: str
    contribution: float
    evidence: list[UUID]
    text: str


class ServedModelView(View):
    """The model the score was computed with; see /v1/models/{version}."""

    version: int
    kind: str
    prior_driven: bool
    fitted_at: datetime | None

    @classmethod
    def of(cls, served: Served) -> "ServedModelView":
        """The view of the served model."""
        return cls(
            version=served.version,
            kind=served.kind,
            prior_driven=served.prior_driven,
            fitted_at=served.fitted_at,
        )


class ProgressView(View):
    """Up to which sequence number of the customer's events the score counts them."""

    orders: int
    service_desk: int


class ScoreView(View):
    """How loyal a customer is and how likely to leave, and why; null before the first purchase."""

    customer_id: UUID
    p_alive: float | None
    churn: ChurnView | None
    expected_purchases: float | None
    loyalty: LoyaltyView | None
    value_minor: int | None
    currency: str
    reasons: list[ReasonView]
    model: ServedModelView
    as_of: datetime
    progress: ProgressView


class ListedScoreView(View):
    """A customer's figures as of `scored_at`, within the deployment's own horizon."""

    customer_id: UUID
    churn: float
    band: Band
    p_alive: float
    expected_purchases: float
    loyalty: float
    value_minor: int
    model_version: int
    scored_at: datetime
