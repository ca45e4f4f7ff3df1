"""Shapes of models in answers."""

from datetime import datetime

from scoring.care.domain import Served
from shared.web.fields import View


class ComplaintEffectView(View):
    """What the data say of complaints, in logarithms of the hazard of leaving, at severity 1; `used` where
    they are enough and the likelihood-ratio test is clear. Until then a belief is used: see parameters."""

    gamma: dict[str, float]
    standard_errors: dict[str, float | None]
    statistic: float
    p_value: float
    used: bool


class ModelView(View):
    """A model: version 0 is the published prior, every other one was fitted to the customers as they were."""

    version: int
    name: str
    kind: str
    prior_driven: bool
    fitted_at: datetime | None
    customers: int
    repeat_buyers: int
    complaints: int
    log_likelihood: float | None
    parameters: dict[str, dict[str, float]]
    standard_errors: dict[str, dict[str, float | None]]
    rate_quantiles: list[float]
    complaint_effect: ComplaintEffectView | None

    @classmethod
    def of(cls, served: Served) -> "ModelView":
        """The view of a model."""
        return cls(
            version=served.version,
            name=served.name,
            kind=served.kind,
            prior_driven=served.prior_driven,
            fitted_at=served.fitted_at,
            customers=served.customers,
            repeat_buyers=served.repeat_buyers,
            complaints=served.complaints,
            log_likelihood=served.log_likelihood,
            parameters=served.parameters,
            standard_errors={name: dict(errors) for name, errors in served.standard_errors.items()},
            rate_quantiles=list(served.rate_quantiles),
            complaint_effect=served.complaint_effect
            and ComplaintEffectView.model_validate(served.complaint_effect),
        )
