"""What the scoring service is told by its environment besides what every service is told."""

from typing import Annotated, cast

from fastapi import Depends, Request
from pydantic import Field

from scoring.models.complaint_effect import PRIOR_GAMMA, Gamma
from shared.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """Read once, when a process starts."""

    churn_horizon_days: int = Field(90, ge=1, le=3650)
    """Churn is the probability that a customer buys nothing for so many days, unless asked otherwise."""
    refit_hours: float = Field(24, gt=0)
    """The model is fitted anew when the served one is so old."""
    margin: float = Field(0.3, gt=0, le=1)
    """The share of an amount that is earned, for the value of a customer."""
    assumed_effect_open: float = Field(PRIOR_GAMMA.open, ge=-10, le=10)
    """By how much, in logarithms, an open major complaint is assumed to change the hazard of leaving, until
    the data tell; 1.5 is 4.5 times. Then the same of the weeks after a bad or a good resolution. Of a minor
    one it is half, of a critical one one and a half times as much."""
    assumed_effect_mishandled: float = Field(PRIOR_GAMMA.mishandled, ge=-10, le=10)
    assumed_effect_recovered: float = Field(PRIOR_GAMMA.recovered, ge=-10, le=10)
    information_value_minor: int | None = Field(None, ge=0, le=10**15)
    """What a customer's information is held to be worth; shown apart, as it is not measured."""
    knowledge_value_minor: int | None = Field(None, ge=0, le=10**15)
    """The same of their knowledge."""
    loss_spend_per_week_minor: int | None = Field(None, ge=0, le=10**12)
    """What losing a customer costs: spend per week · weeks per year · years · (1 + told · heeding share ·
    (1 + retold to) · leaving share). Spend and years: by default each customer's own, or the model's."""
    loss_weeks_per_year: float = Field(52, ge=0, le=53)
    loss_years: float | None = Field(None, ge=0, le=100)
    loss_told: int = Field(10, ge=0, le=10_000)
    loss_heeding_share: float = Field(0.5, ge=0, le=1)
    loss_retold_to: int = Field(5, ge=0, le=1000)
    loss_leaving_share: float = Field(0.25, ge=0, le=1)

    @property
    def assumed_effect(self) -> Gamma:
        """What complaints are assumed to do."""
        return Gamma(self.assumed_effect_open, self.assumed_effect_mishandled, self.assumed_effect_recovered)


async def _settings(request: Request) -> ScoringSettings:
    return cast(ScoringSettings, request.app.state.settings)


Settings = Annotated[ScoringSettings, Depends(_settings)]
"""For routes: what this deployment has chosen."""
