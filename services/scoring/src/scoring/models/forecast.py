"""The purchase models in one shape, to be fitted and asked alike where they are compared.

What is not known of the parameters is asked with plausible ones: draws from their posterior, normal in the
logarithms about the fit (Laplace's approximation), always the same normal numbers, so that every answer can
be repeated.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import bg_nbd, complaint_clock, mbg_nbd, pareto_nbd
from .arrays import Floats
from .complaint_clock import NO_EFFECT, PRIOR_GAMMA, Clock, Gamma
from .complaint_fit import ENOUGH_COMPLAINTS, ClockFit, fit_clock
from .fit import PRIOR_SIGMA, Fit, covariance, curvature, logs
from .rfm import Rows
from .score import Customers

WITH_COMPLAINTS = "pareto-nbd-complaints"
KINDS = ("pareto-nbd", "bg-nbd", "mbg-nbd", WITH_COMPLAINTS)
_PLAIN: Mapping[str, ModuleType] = MappingProxyType(
    {"pareto-nbd": pareto_nbd, "bg-nbd": bg_nbd, "mbg-nbd": mbg_nbd}
)
DRAWS = 50
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
            found |= {f"gamma_{phase}": value for phase, value in asdict(self.gamma).items()}
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

    `clock` is what the data say of complaints, None for models without, or where complaints are too few.
    """

    forecaster: Forecaster
    fit: Fit[Any]
    covariance: Floats
    clock: ClockFit | None = None

    def plausible(self) -> list[Forecaster]:
        """The model as fitted, then with `DRAWS` other plausible parameters."""
        found = [self.forecaster]
        for logarithms in draws(self.forecaster.params, self.covariance):
            params = type(self.forecaster.params)(*(float(value) for value in np.exp(logarithms)))
            found.append(Forecaster(self.forecaster.kind, params, self.forecaster.gamma))
        return found


def fit(kind: str, customers: Customers, complaints: int = 0) -> Fitted:
    """The model fitted to these customers, leaning on its prior where they are few.

    With complaints, the effect estimated is used where the evidence for it is clear, else the prior effect;
    the covariance then is that of the model without complaints, close where most customers have none.
    """
    rows = Rows(customers.x, customers.t_x, customers.T, np.ones(len(customers.x)))
    if kind != WITH_COMPLAINTS:
        module = _PLAIN[kind]
        found: Fit[Any] = module.fit(rows)
        return Fitted(Forecaster(kind, found.params), found, posterior_covariance(module, rows, found.params))
    plain = pareto_nbd.fit(rows)
    spread = posterior_covariance(pareto_nbd, rows, plain.params)
    clock = None
    if complaints >= ENOUGH_COMPLAINTS:
        clock = fit_clock(rows, customers.schedules, complaints)
    if clock is None or not clock.usable:
        return Fitted(Forecaster(kind, plain.params, PRIOR_GAMMA), plain, spread, clock)
    return Fitted(Forecaster(kind, clock.purchase.params, clock.gamma), clock.purchase, spread, clock)


def posterior_covariance(module: ModuleType, rows: Rows, params: pareto_nbd.Params | bg_nbd.Params) -> Floats:
    """Of the logarithms of the parameters at the maximum a posteriori; the prior's where it is not one."""
    some, centre = rows.for_fitting(), logs(module.prior(rows))

    def gradient(at: Floats) -> Floats:
        return np.asarray((at - centre) / PRIOR_SIGMA**2 - module.log_likelihood_with_gradient(at, some)[1])

    found = covariance(curvature(gradient, logs(params)))
    return found if np.isfinite(found).all() else np.eye(len(centre)) * PRIOR_SIGMA**2


def draws(params: pareto_nbd.Params | bg_nbd.Params, spread: Floats) -> Floats:
    """`DRAWS` rows of logarithms of parameters whose mean and covariance are exactly those given."""
    return np.asarray(logs(params) + _normal(len(spread)) @ np.linalg.cholesky(spread).T)


def _normal(columns: int) -> Floats:
    half = np.random.default_rng(0).standard_normal((DRAWS // 2, columns))
    both = np.vstack([half, -half])
    return np.asarray(both @ np.linalg.inv(np.linalg.cholesky(both.T @ both / DRAWS)).T)
