"""Gamma-Gamma: what a customer spends per purchase, whose true mean differs from customer to customer.

Amounts z ~ Gamma(p, ν), ν ~ Gamma(q, γ), independent of how often they buy. Fader and Hardie 2013, "The
Gamma-Gamma Model of Monetary Value". With x repeat purchases of mean m̄,

    ln L = lnΓ(px+q) − lnΓ(px) − lnΓ(q) + q·ln γ + (px−1)·ln m̄ + px·ln x − (px+q)·ln(γ + x·m̄),
    E[M] = p·(γ + x·m̄)/(px + q − 1), which at x = 0 is the mean of everybody, p·γ/(q−1).
"""

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .arrays import Floats, floats, in_pieces, weighed
from .fit import ENOUGH_REPEAT_BUYERS, Fit, climb_from_sample, logs
from .rising import log_rising

_SMALLEST_Q = 1.01


@dataclass(frozen=True, slots=True)
class Params:
    """Shape of the amounts (p), shape and rate of what differs between customers (q, γ); γ in money."""

    p: float
    q: float
    gamma: float

    def __post_init__(self) -> None:
        if not all(0 < value < np.inf for value in astuple(self)):
            raise ValueError(f"parameters of Gamma-Gamma are positive and finite: {self}")


PUBLISHED = Params(p=6.25, q=3.74, gamma=15.44)
"""CDNOW in US dollars (Fader and Hardie 2013), where the median of the mean amounts was PUBLISHED_AMOUNT."""
PUBLISHED_AMOUNT = 27.5


def log_likelihood(params: Params, x: ArrayLike, mean_amount: ArrayLike) -> Floats:
    """ln L of each customer's mean amount over x > 0 repeat purchases."""
    x, m = floats(x, mean_amount)
    p, q, gamma = astuple(params)
    return np.asarray(
        log_rising(p * x, q)
        - special.gammaln(q)
        - q * np.log1p(x * m / gamma)
        - p * x * np.log1p(gamma / (x * m))
        - np.log(m)
    )


def expected_amount(params: Params, x: ArrayLike, mean_amount: ArrayLike) -> Floats:
    """E[M]: the mean amount of a customer's purchases to come, for q > 1, as `fit` makes it.

    Where px + q ≤ 1 there is no mean; then the one that px + q = 1.01 would have. `mean_amount` is over the
    x repeat purchases, and not read where x = 0.
    """
    x, m = floats(x, mean_amount)
    p, q, gamma = astuple(params)
    spent = np.where(x > 0, x * np.maximum(m, 0.0), 0.0)
    below = p * x + (q - 1)
    return np.asarray(p * (gamma + spent) / np.where(below > 0, below, _SMALLEST_Q - 1))


def prior(mean_amount: ArrayLike) -> Params:
    """The published values, with γ in units of these customers' median amount."""
    (m,) = floats(mean_amount)
    unit = float(np.median(m)) / PUBLISHED_AMOUNT if m.size else 1.0
    return Params(PUBLISHED.p, PUBLISHED.q, PUBLISHED.gamma * unit)


@dataclass(frozen=True, slots=True, eq=False)
class Spending:
    """x > 0 repeat purchases of mean amount > 0; `weight` customers alike."""

    x: Floats
    mean_amount: Floats
    weight: Floats

    @classmethod
    def of(cls, x: ArrayLike, mean_amount: ArrayLike) -> "Spending":
        """The distinct pairs. Customers without a repeat purchase, or whose were worth nothing, are left out.

        ValueError where anything is not finite.
        """
        x, m = floats(x, mean_amount)
        if not (np.isfinite(x).all() and np.isfinite(m).all()):
            raise ValueError("x and mean_amount are finite")
        told = (x > 0) & (m > 0)
        x, m = x[told], m[told]
        order = np.lexsort((x, m))
        x, m = x[order], m[order]
        first = np.flatnonzero(np.append(True, (x[1:] != x[:-1]) | (m[1:] != m[:-1]))[: len(x)])
        return cls(x[first], m[first], np.diff(np.append(first, len(x))).astype(np.float64))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def customers(self) -> float:
        """How many customers they stand for."""
        return float(self.weight.sum())

    def every(self, step: int) -> "Spending":
        """Each `step`-th entry: a regular sample."""
        return Spending(self.x[::step], self.mean_amount[::step], self.weight[::step])


def fit(x: ArrayLike, mean_amount: ArrayLike, *, use_prior: bool = True) -> Fit[Params]:
    """The parameters at the maximum a posteriori, or without the prior at the maximum of the likelihood.

    n counts the customers who tell something: with repeat purchases that were worth something. q stays above
    1, as below it the mean of everybody would be infinite.
    """
    spending = Spending.of(x, mean_amount)
    told = np.repeat(spending.mean_amount, spending.weight.astype(np.int64))
    centre = logs(prior(told))
    peak = climb_from_sample(
        log_likelihood_with_gradient,
        spending,
        [centre] if use_prior else [centre, centre + np.array([-1.0, 0.3, 1.0])],
        centre if use_prior else None,
        least=np.array([-np.inf, np.log(_SMALLEST_Q), -np.inf]),
    )
    n = round(spending.customers)
    return Fit(
        params=Params(*(float(value) for value in np.exp(peak.at))),
        standard_errors=peak.standard_errors([field.name for field in fields(Params)]),
        log_likelihood=peak.log_likelihood,
        n=n,
        repeat_buyers=n,
        prior_driven=use_prior and n < ENOUGH_REPEAT_BUYERS,
        converged=peak.converged,
    )


def log_likelihood_with_gradient(at: Floats, spending: Spending) -> tuple[float, Floats]:
    """Σ weight·ln L and its gradient in (ln p, ln q, ln γ)."""
    params = Params(*(float(value) for value in np.exp(at)))
    found = in_pieces(lambda piece: _piece(params, spending, piece), len(spending))
    total = np.sum(found, axis=0) if found else np.zeros(4)
    return float(total[0]), total[1:] * np.array(astuple(params))


def _piece(params: Params, spending: Spending, piece: slice) -> Floats:
    """ln L and ∂/∂(p, q, γ) summed over a piece of the entries."""
    p, q, gamma = astuple(params)
    x, m, weight = spending.x[piece], spending.mean_amount[piece], spending.weight[piece]
    spent = x * m
    both = special.psi(p * x + q)
    d_p = x * (both - special.psi(p * x) - np.log1p(gamma / spent))
    d_q = both - special.psi(q) - np.log1p(spent / gamma)
    d_gamma = q / gamma - (p * x + q) / (gamma + spent)
    return np.array([weighed(weight, part) for part in (log_likelihood(params, x, m), d_p, d_q, d_gamma)])
