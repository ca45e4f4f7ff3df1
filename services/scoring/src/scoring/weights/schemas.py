"""Shapes of loyalty weights in requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from scoring.weights.domain import SetWeights
from shared.web.fields import Body, View

Weight = Annotated[float, Field(ge=0, le=1)]


class SetLoyaltyWeights(Body):
    """What each indicator is to count for; only the proportions matter. `repeat_rate` is above 0: it is the
    one indicator that is known of everybody who has bought, so that everybody has an index."""

    repeat_rate: Annotated[float, Field(gt=0, le=1)]
    time_of_buying: Weight
    wallet_share: Weight
    referrals: Weight
    price_insensitivity: Weight
    fault_tolerance: Weight
    speed_of_choosing: Weight
    attitude_to_competitors: Weight
    affection: Weight


class LoyaltyWeightsView(View):
    """Weights by indicator, since when they are valid, and who set them; nobody set version 1."""

    version: int
    valid_from: datetime | None
    set_by: str | None
    weights: dict[str, float]

    @classmethod
    def of(cls, made: SetWeights) -> "LoyaltyWeightsView":
        """The view of weights."""
        return cls(
            version=made.version,
            valid_from=made.valid_from,
            set_by=made.set_by,
            weights=made.by_indicator,
        )
