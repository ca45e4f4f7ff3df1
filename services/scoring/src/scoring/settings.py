"""What the scoring service is told by its environment besides what every service is told."""

from pydantic import Field

from shared.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """Read once, when a process starts."""

    churn_horizon_days: int = Field(90, ge=1, le=3650)
    """Churn is the probability that a customer buys nothing for so many days, unless asked otherwise."""
    refit_hours: float = Field(24, gt=0)
    """The model is fitted anew when the served one is so old."""
    margin: float = Field(0.3, gt=0, le=1)
    """The share of an amount that is earned, for the value of a customer."""
