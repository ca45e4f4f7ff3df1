"""Models and their versions: the published prior until there is a fit, then the latest fit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy import special

from scoring.care.tables import FittedModel
from scoring.models import forecast, gamma_gamma, loyalty, pareto_nbd
from scoring.models.arrays import Floats
from scoring.models.calibration import Calibrator
from scoring.models.clv import Terms
from scoring.models.complaint_effect import PRIOR_GAMMA, Gamma
from scoring.models.complaint_fit import ClockFit
from scoring.models.fit import PRIOR_SIGMA, known
from scoring.models.score import Customers, Model
from shared.errors import Conflict
from shared.events.scoring import ModelFitted

KIND = "pareto_nbd"
MINOR_PER_UNIT = 100
"""The published amounts are in dollars; ours are in minor units."""


Covariance = tuple[tuple[float, ...], ...]
AS_THE_PRIOR: Covariance = tuple(tuple(row) for row in (PRIOR_SIGMA**2 * np.eye(4)).tolist())


@dataclass(frozen=True, slots=True)
class ComplaintEffect:
    """What complaints do to the hazard of leaving, as estimated; `used` where the data are clear enough, and
    `why`, or why not. Of models of before it is not known from how many complaints, which is 0 then."""

    gamma: Mapping[str, float]
    standard_errors: Mapping[str, float | None]
    statistic: float
    p_value: float
    used: bool
    p_assumed: float | None = None
    why: str = "an estimate by an earlier method, which was shown but not used"
    complaints: int = 0


@dataclass(frozen=True, slots=True)
class Served:
    """A model that scores are computed with, and where it comes from."""

    version: int
    kind: str
    fitted_at: datetime | None
    customers: int
    repeat_buyers: int
    complaints: int
    prior_driven: bool
    log_likelihood: float | None
    standard_errors: Mapping[str, Mapping[str, float | None]]
    rate_quantiles: tuple[float, ...]
    complaint_effect: ComplaintEffect | None
    """What the data say of complaints; None where there are too few to ask."""
    model: Model
    covariance: Covariance = AS_THE_PRIOR
    """Of the logarithms of the purchase parameters: how uncertain they are."""
    loyalty_weights: loyalty.Weights = loyalty.FIRST_WEIGHTS

    @property
    def name(self) -> str:
        """How events call it."""
        return f"{self.kind}-{self.version}"

    @property
    def parameters(self) -> dict[str, dict[str, float]]:
        """All parameters by the part of the model they belong to."""
        return {
            "purchase": asdict(self.model.purchase),
            "complaints": asdict(self.model.gamma),
            "spend": asdict(self.model.spend),
        }


def _published() -> Served:
    purchase, spend = pareto_nbd.PUBLISHED, gamma_gamma.PUBLISHED
    # The rates believed in: Gamma(r, α), its last per mille left out.
    shares = np.minimum(np.linspace(0, 1, loyalty.QUANTILES), 0.999)
    return Served(
        version=0,
        kind=KIND,
        fitted_at=None,
        customers=0,
        repeat_buyers=0,
        complaints=0,
        prior_driven=True,
        log_likelihood=None,
        standard_errors={},
        rate_quantiles=tuple((special.gammaincinv(purchase.r, shares) / purchase.alpha).tolist()),
        complaint_effect=None,
        model=Model(
            purchase, PRIOR_GAMMA, gamma_gamma.Params(spend.p, spend.q, spend.gamma * MINOR_PER_UNIT)
        ),
    )


PUBLISHED = _published()
"""What is served before any fit: parameters published for other customers, as a prior belief about ours."""


def calibrated(served: Served, calibrator: Calibrator) -> Served:
    """The model with its churn calibrated."""
    return replace(served, model=replace(served.model, calibrator=calibrator))


def as_deployed(served: Served, margin: float, assumed: Gamma) -> Served:
    """The model with the deployment's margin, which no fit can know; before any fit, with the effect of
    complaints that the deployment assumes, too."""
    gamma = served.model.gamma if served.fitted_at else assumed
    return replace(served, model=replace(served.model, terms=Terms(margin=margin), gamma=gamma))


def fit(customers: Customers, complaints: int, assumed: Gamma, *, version: int, at: datetime) -> Served:
    """Fit to these customers, who made so many complaints, leaning on the published prior where they are few,
    and on the effect assumed of complaints where the data do not tell another. Slow where they are many."""
    if not customers.x.size:
        raise Conflict(
            "No customer has bought yet, so there is nothing to fit a model to; import orders first."
        )
    found = forecast.fit(forecast.WITH_COMPLAINTS, customers, complaints, assumed)
    purchase = found.fit
    spend = gamma_gamma.fit(customers.x, customers.mean_amount)
    grid = loyalty.quantile_grid(purchase.params, customers.x, customers.T)
    return Served(
        version=version,
        kind=KIND,
        fitted_at=at,
        customers=purchase.n,
        repeat_buyers=purchase.repeat_buyers,
        complaints=complaints,
        prior_driven=purchase.prior_driven,
        log_likelihood=purchase.log_likelihood,
        standard_errors={
            "purchase": known(purchase.standard_errors),
            "spend": known(spend.standard_errors),
        },
        rate_quantiles=tuple(grid.tolist()),
        complaint_effect=_effect(found.clock),
        model=Model(
            purchase.params, found.forecaster.gamma, spend.params if spend.n else PUBLISHED.model.spend
        ),
        covariance=_rows(found.covariance),
    )


def _effect(clock: ClockFit | None) -> ComplaintEffect | None:
    if clock is None:
        return None
    return ComplaintEffect(
        gamma=asdict(clock.gamma),
        standard_errors=known(clock.standard_errors),
        statistic=clock.statistic,
        p_value=clock.p_value,
        p_assumed=clock.p_assumed,
        used=clock.usable,
        why=clock.why,
        complaints=clock.complaints,
    )


def fitted(served: Served, *, refused: str | None = None) -> ModelFitted:
    """The event that tells of it; `refused` says why it is not served."""
    return ModelFitted(
        model=served.name,
        fitted_at=served.fitted_at or datetime(1970, 1, 1, tzinfo=UTC),
        customers=served.customers,
        repeat_buyers=served.repeat_buyers,
        prior_driven=served.prior_driven,
        refused=refused,
    )


def to_row(served: Served, *, published: bool, why: str) -> FittedModel:
    """As it is stored, with what was decided about it."""
    assert served.fitted_at is not None, "what is published is not stored"
    assert served.log_likelihood is not None
    return FittedModel(
        version=served.version,
        kind=served.kind,
        fitted_at=served.fitted_at,
        customers=served.customers,
        repeat_buyers=served.repeat_buyers,
        complaints=served.complaints,
        prior_driven=served.prior_driven,
        log_likelihood=served.log_likelihood,
        parameters=served.parameters,
        standard_errors={name: dict(errors) for name, errors in served.standard_errors.items()},
        rate_quantiles=list(served.rate_quantiles),
        complaint_effect=_stored(served.complaint_effect) if served.complaint_effect else None,
        covariance=[value for row in served.covariance for value in row],
        calibrator=asdict(served.model.calibrator),
        published=published,
        why=why,
    )


def of_row(row: FittedModel) -> Served:
    """As it was stored."""
    parts = row.parameters
    return Served(
        version=row.version,
        kind=row.kind,
        fitted_at=row.fitted_at,
        customers=row.customers,
        repeat_buyers=row.repeat_buyers,
        complaints=row.complaints,
        prior_driven=row.prior_driven,
        log_likelihood=row.log_likelihood,
        standard_errors=row.standard_errors,
        rate_quantiles=tuple(row.rate_quantiles),
        complaint_effect=_read(row.complaint_effect) if row.complaint_effect else None,
        model=Model(
            pareto_nbd.Params(**parts["purchase"]),
            Gamma(**parts["complaints"]),
            gamma_gamma.Params(**parts["spend"]),
            calibrator=Calibrator(**row.calibrator),
        ),
        covariance=_rows(np.reshape(row.covariance, (4, 4))),
    )


def _stored(effect: ComplaintEffect) -> dict[str, Any]:
    told = asdict(effect)
    if effect.p_assumed is None:
        del told["p_assumed"]  # releases of before it refuse what they do not know, and read this table too
    return told


def _read(stored: Mapping[str, Any]) -> ComplaintEffect:
    known_here = {field.name for field in fields(ComplaintEffect)}  # a later release may have stored more
    return ComplaintEffect(**{name: value for name, value in stored.items() if name in known_here})


def _rows(covariance: Floats) -> Covariance:
    return tuple(tuple(row) for row in covariance.tolist())


def is_due(latest: Served, refit_hours: float, now: datetime) -> bool:
    """Whether the latest model, served or refused, is so old that it is time for a new one; the published one
    always is."""
    return latest.fitted_at is None or now - latest.fitted_at >= timedelta(hours=refit_hours)
