"""What scoring publishes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.event import Event, declare

Band = Literal["low", "medium", "high", "critical"]


@declare("scoring.churn_band_changed.v1", topic="patron.scoring", key="customer_id")
class ChurnBandChanged(Event, frozen=True, kw_only=True):
    """A customer's churn risk crossed into another band, by an event or by time alone."""

    customer_id: UUID
    before: Band | None
    after: Band
    churn_probability: float
    horizon_days: int
    model: str
    scored_at: datetime
    orders_seq: int
    service_desk_seq: int


@declare("scoring.model_fitted.v1", topic="patron.scoring.reference", key="model")
class ModelFitted(Event, frozen=True, kw_only=True):
    """A purchase model was fitted and is served from now on."""

    model: str
    fitted_at: datetime
    customers: int
    repeat_buyers: int
    prior_driven: bool
