"""Fitting by maximum likelihood or maximum a posteriori, on the logarithms of the parameters.

The prior of every parameter is log-normal with σ = 1, so that on the logarithms it is a normal density and
the mode does not depend on the unit of time or money. Small deployments lean on it, large ones outvote it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import numpy as np
from scipy import optimize

from .arrays import Floats
from .rfm import MANY_ROWS, Rows

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PRIOR_SIGMA = 1.0
ENOUGH_REPEAT_BUYERS = 50
_REACH = 12.0  # parameters stay within e^±12 of the start: finite where the likelihood has no peak

Params = TypeVar("Params", bound="DataclassInstance")
LogLikelihood = Callable[[Floats], tuple[float, Floats]]
"""Takes the logarithms of the parameters; returns ln L of all customers and its gradient."""


@dataclass(frozen=True, slots=True)
class Fit(Generic[Params]):
    """A fitted model. `log_likelihood` is without the prior; `prior_driven`: the data alone are too few."""

    params: Params
    standard_errors: Mapping[str, float]  # NaN where the data do not determine the parameter
    log_likelihood: float
    n: int
    repeat_buyers: int
    prior_driven: bool
    converged: bool


class Data(Protocol):
    """What a likelihood is summed over: entries that stand for so many customers."""

    @property
    def customers(self) -> float: ...

    def __len__(self) -> int: ...

    def every(self, step: int) -> Self: ...


Some = TypeVar("Some", bound=Data)


def fit_rows(
    kind: type[Params],
    log_likelihood: Callable[[Floats, Rows], tuple[float, Floats]],
    rows: Rows,
    *,
    prior: Params,
    use_prior: bool,
    other_start: Sequence[float],
) -> Fit[Params]:
    """The parameters at the maximum a posteriori, or without the prior at the maximum of the likelihood.

    The search begins at the prior's medians; without the prior a second one begins e^`other_start` away.
    """
    distinct = rows.collapsed()
    rough = distinct.for_fitting()
    centre = logs(prior)
    starts = [centre] if use_prior else [centre, centre + np.asarray(other_start)]
    peak = climb_from_sample(log_likelihood, rough, starts, centre if use_prior else None)
    exact = peak.log_likelihood if rough is distinct else log_likelihood(peak.at, distinct)[0]
    return Fit(
        params=kind(*(float(value) for value in np.exp(peak.at))),
        standard_errors=peak.standard_errors([field.name for field in fields(kind)]),
        log_likelihood=exact,
        n=round(rows.customers),
        repeat_buyers=round(rows.repeat_buyers),
        prior_driven=use_prior and rows.repeat_buyers < ENOUGH_REPEAT_BUYERS,
        converged=peak.converged,
    )


def climb_from_sample(
    log_likelihood: Callable[[Floats, Some], tuple[float, Floats]],
    data: Some,
    starts: Sequence[Floats],
    centre: Floats | None,
    least: Floats | float = -np.inf,
) -> "Peak":
    """`climb`, where entries are very many from the peak of a regular sample of them, whose shape it uses."""
    every = len(data) // (MANY_ROWS // 10)
    if every > 1:
        sample = data.every(every)
        below = climb(lambda at: log_likelihood(at, sample), starts, centre, sample.customers, least=least)
        starts, shape = [below.at], below.covariance * sample.customers
    else:
        shape = None
    return climb(
        lambda at: log_likelihood(at, data), starts, centre, data.customers, least=least, shape=shape
    )


def logs(params: Params) -> Floats:
    """The logarithms of the parameters, in the order of their names."""
    return np.log(np.array(astuple(params), dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Peak:
    """Where the posterior is highest, in logarithms, with the covariance there."""

    at: Floats
    covariance: Floats
    log_likelihood: float
    converged: bool

    def standard_errors(self, names: Sequence[str]) -> dict[str, float]:
        """Of the parameters themselves, by the delta method: sd(θ) = θ·sd(ln θ)."""
        spread = np.exp(self.at) * _root(np.diag(self.covariance))
        return {name: float(value) for name, value in zip(names, spread, strict=True)}


def climb(
    log_likelihood: LogLikelihood,
    starts: Sequence[Floats],
    centre: Floats | None,
    weight: float,
    sigma: Floats | float = PRIOR_SIGMA,
    least: Floats | float = -np.inf,
    shape: Floats | None = None,
) -> Peak:
    """The highest peak reached from the starts. `centre`: the prior's medians in logarithms, None: no prior.

    `weight` is the number of customers; it only scales the search. No parameter comes below e^`least`.
    `shape`: the covariance one customer is thought to make, with which few steps do. Not converged where a
    parameter went as far as it may, or where it is no peak.
    """
    scale = max(weight, 1.0)

    def cost(at: Floats) -> tuple[float, Floats]:
        value, gradient = log_likelihood(at)
        if centre is not None:
            pull = (at - centre) / sigma
            value -= float(pull @ pull) / 2
            gradient = gradient - pull / sigma
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e10, np.zeros_like(at)
        return -value / scale, -gradient / scale

    low, high = np.maximum(starts[0] - _REACH, least), starts[0] + _REACH
    best = None if shape is None else _quick(cost, starts[0], shape, low, high)
    for start in starts if best is None else []:
        found = optimize.minimize(
            cost, start, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7, "maxls": 40},
        )  # fmt: skip
        if best is None or found.fun < best.fun - 1e-12:
            best = found
    assert best is not None, "at least one start"
    at = np.asarray(best.x, dtype=np.float64)
    hessian = curvature(lambda where: cost(where)[1], at) * scale
    flat = bool(best.success) or float(np.abs(best.jac).max()) < 1e-4
    inside = bool((np.abs(at - starts[0]) < _REACH).all())
    spread = covariance(hessian)
    return Peak(at, spread, log_likelihood(at)[0], flat and inside and bool(np.isfinite(spread).any()))


def _quick(
    cost: Callable[[Floats], tuple[float, Floats]], start: Floats, shape: Floats, low: Floats, high: Floats
) -> optimize.OptimizeResult | None:
    """The lowest point by way of a known shape; None where that was not to be."""
    if not np.isfinite(shape).all():
        return None
    found = optimize.minimize(
        cost, start, jac=True, method="BFGS", options={"hess_inv0": shape, "gtol": 1e-7, "maxiter": 50}
    )
    there = np.abs(found.jac).max() < 1e-6 and ((found.x > low) & (found.x < high)).all()
    return found if there else None


def curvature(gradient: Callable[[Floats], Floats], at: Floats, step: float = 1e-4) -> Floats:
    """The Hessian from differences of an exact gradient, symmetric."""
    rows = []
    for j in range(len(at)):
        move = np.zeros_like(at)
        move[j] = step
        rows.append((gradient(at + move) - gradient(at - move)) / (2 * step))
    hessian = np.array(rows)
    return np.asarray((hessian + hessian.T) / 2)


def known(errors: Mapping[str, float]) -> dict[str, float | None]:
    """Standard errors as JSON has them: None where the data do not determine the parameter."""
    return {name: float(error) if np.isfinite(error) else None for name, error in errors.items()}


def covariance(hessian: Floats) -> Floats:
    """The inverse of the negative log posterior's Hessian; NaN where it is not positive definite.

    NaN too for a parameter on which nothing depends; the others do without it.
    """
    found = np.full_like(hessian, np.nan)
    matters = np.flatnonzero(hessian.any(axis=0))
    some = hessian[np.ix_(matters, matters)]
    try:
        np.linalg.cholesky(some)
        inverse = np.linalg.inv(some)
    except np.linalg.LinAlgError:
        return found
    found[np.ix_(matters, matters)] = (inverse + inverse.T) / 2
    return found


def _root(variances: Floats) -> Floats:
    return np.sqrt(np.where(variances >= 0, variances, np.nan))
