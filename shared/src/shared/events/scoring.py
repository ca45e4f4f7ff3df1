"""What scoring publishes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, declare

Band = Literal["low", "medium", "high", "critical"]


@declare("scoring.churn_band_changed.v1", topic="patron.scoring", key="customer_id")
class ChurnBandChanged(Event, frozen=True, kw_only=True):
    """A customer's churn risk crossed into another band, by an event or by time alone.

    It was told at `scored_at`. Where time alone took the risk over the band's beginning, it did so at
    `crossed_at`, by the model and what is known now.
    """

    customer_id: UUID
    before: Band | None
    after: Band
    churn_probability: float
    horizon_days: int
    model: str
    scored_at: datetime
    orders_seq: int
    service_desk_seq: int
    crossed_at: datetime | None = None


class RestatedFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a customer; null where nothing has been bought."""

    purchases: int
    p_alive: float | None = None
    churn_probability: float | None = None
    expected_purchases: float | None = None
    loyalty: float | None = None
    value_minor: int | None = None


@declare("scoring.score_restated.v1", topic="patron.scoring", key="customer_id")
class ScoreRestated(Event, frozen=True, kw_only=True):
    """Something that was so before has become known, or was corrected: the same instant, told anew.

    Both figures are as of `as_of` and of the same model; only what is known differs.
    """

    customer_id: UUID
    before: RestatedFigures
    after: RestatedFigures
    horizon_days: int
    model: str
    as_of: datetime
    orders_seq: int
    service_desk_seq: int


@declare("scoring.model_fitted.v1", topic="patron.scoring.reference", key="model")
class ModelFitted(Event, frozen=True, kw_only=True):
    """A purchase model was fitted, and is served from now on unless it was `refused`, which says why."""

    model: str
    fitted_at: datetime
    customers: int
    repeat_buyers: int
    prior_driven: bool
    refused: str | None = None


@declare("scoring.model_served.v1", topic="patron.scoring.reference", key="model")
class ModelServed(Event, frozen=True, kw_only=True):
    """An earlier model is served again, by somebody's decision."""

    model: str
    version: int
    served_from: datetime
