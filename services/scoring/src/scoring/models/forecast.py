"""The purchase models in one shape, to be fitted and asked alike where they are compared.

What is not known of the parameters is asked with plausible ones: points about the fit whose mean and
covariance are those of the posterior of the logarithms in Laplace's approximation (Julier and Uhlmann 1997,
the unscented transform). They are few and always the same, so that every answer is cheap and can be repeated.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import bg_nbd, complaint_clock, mbg_nbd, pareto_nbd
from .arrays import Floats
from .complaint_clock import Clock
from .complaint_effect import NO_EFFECT, PRIOR_GAMMA, Gamma, named
from .complaint_fit import ENOUGH_COMPLAINTS, ClockFit, fit_clock
from .fit import PRIOR_SIGMA, Fit, covariance, curvature, logs
from .rfm import Rows
from .score import Customers

WITH_COMPLAINTS = "pareto-nbd-complaints"
KINDS = ("pareto-nbd", "bg-nbd", "mbg-nbd", WITH_COMPLAINTS)
_PLAIN: Mapping[str, ModuleType] = MappingProxyType(
    {"pareto-nbd": pareto_nbd, "bg-nbd": bg_nbd, "mbg-nbd": mbg_nbd}
)
P = TypeVar("P", bound=pareto_nbd.Params | bg_nbd.Params)
_SMALLEST = 1e-15  # churn is taken to lie so far from 0 and 1 before its log-odds are


@dataclass(frozen=True, slots=True)
class Forecaster:
    """A model with its parameters; γ matters to the one with complaints only."""

    kind: str
    params: pareto_nbd.Params | bg_nbd.Params
    gamma: Gamma = NO_EFFECT

    @property
    def parameters(self) -> dict[str, float]:
        """By their names in the literature; γ by the phase of a complaint."""
        found: dict[str, float] = asdict(self.params)
        if self.kind == WITH_COMPLAINTS:
            found |= named(asdict(self.gamma))
        return found

    def churn(self, customers: Customers, horizon: float) -> Floats:
        """The probability that nothing is bought in the `horizon` weeks from now."""
        x, t_x, T = customers.x, customers.t_x, customers.T
        module, given = self._called(customers)
        return np.asarray(module.churn(*given, x, t_x, T, horizon))

    def log_odds_churn(self, customers: Customers, horizon: float) -> Floats:
        """Its log-odds, within ±35."""
        return np.asarray(special.logit(np.clip(self.churn(customers, horizon), _SMALLEST, 1 - _SMALLEST)))

    def purchases(self, customers: Customers, horizon: ArrayLike) -> Floats:
        """Purchases to expect in the `horizon` weeks from now, one for all where complaints matter."""
        module, given = self._called(customers)
        return np.asarray(module.expected_purchases(*given, customers.x, customers.t_x, customers.T, horizon))

    def log_likelihood(self, customers: Customers) -> Floats:
        """ln L of each customer."""
        module, given = self._called(customers)
        return np.asarray(module.log_likelihood(*given, customers.x, customers.t_x, customers.T))

    def _called(self, customers: Customers) -> tuple[ModuleType, tuple[Any, ...]]:
        if self.kind == WITH_COMPLAINTS:
            return complaint_clock, (self.params, Clock.of(customers.schedules, self.gamma))
        return _PLAIN[self.kind], (self.params,)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model fitted to customers, and the covariance of the logarithms of its purchase parameters.

    `clock` is what the data say of complaints, None for models without, or where complaints are too few;
    where it is not usable, γ alone is the one assumed.
    """

    forecaster: Forecaster
    fit: Fit[Any]
    covariance: Floats
    clock: ClockFit | None = None

    def plausible(self) -> list[Forecaster]:
        """The model as fitted, then with other plausible parameters."""
        as_fitted = self.forecaster
        others = plausible(as_fitted.params, self.covariance)
        return [as_fitted, *(replace(as_fitted, params=params) for params in others)]


def fit(kind: str, customers: Customers, complaints: int = 0, assumed: Gamma = PRIOR_GAMMA) -> Fitted:
    """The model fitted to these customers, leaning on its prior where they are few.

    With complaints, γ is the one estimated where the evidence for it is clear, else the one assumed; the rest
    is fitted together with it (`ClockFit.in_use`). The covariance then is that of the model without
    complaints, close where most customers have none.
    """
    rows = Rows.of(customers.x, customers.t_x, customers.T)
    if kind != WITH_COMPLAINTS:
        module = _PLAIN[kind]
        found: Fit[Any] = module.fit(rows)
        return Fitted(Forecaster(kind, found.params), found, posterior_covariance(module, rows, found.params))
    plain = pareto_nbd.fit(rows)
    spread = posterior_covariance(pareto_nbd, rows, plain.params)
    if complaints < ENOUGH_COMPLAINTS:
        return Fitted(Forecaster(kind, plain.params, assumed), plain, spread)
    clock = fit_clock(rows, customers.schedules, complaints, assumed=assumed)
    used = clock.in_use
    return Fitted(Forecaster(kind, used.purchase.params, used.gamma), used.purchase, spread, clock)


def posterior_covariance(module: ModuleType, rows: Rows, params: pareto_nbd.Params | bg_nbd.Params) -> Floats:
    """Of the logarithms of the parameters at the maximum a posteriori; the prior's where it is not one."""
    some, centre = rows.for_fitting(), logs(module.prior(rows))

    def gradient(at: Floats) -> Floats:
        return np.asarray((at - centre) / PRIOR_SIGMA**2 - module.log_likelihood_with_gradient(at, some)[1])

    found = covariance(curvature(gradient, logs(params)))
    return found if np.isfinite(found).all() else np.eye(len(centre)) * PRIOR_SIGMA**2


def plausible(params: P, spread: Floats) -> list[P]:
    """Other parameters, whose logarithms have those of the given as mean, and the covariance `spread`."""
    root = np.linalg.cholesky(spread) * np.sqrt(len(spread))
    points = logs(params) + np.concatenate([root.T, -root.T])
    return [type(params)(*(float(value) for value in np.exp(point))) for point in points]
