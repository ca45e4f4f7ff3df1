"""Pareto/NBD: customers buy at random at their own rate until, unseen, they stop for ever.

Purchase rate λ ~ Gamma(r, α), death rate μ ~ Gamma(s, β), both per week. Schmittlein, Morrison and Colombo
1987, "Counting Your Customers"; Fader and Hardie 2005, "A Note on Deriving the Pareto/NBD Model". With

    I = s ∫_{t_x}^{T} ((α+T)/(α+u))^{r+x} · ((β+T)/(β+u))^s / (β+u) du

the posterior odds of being dead are I, P(alive) = 1/(1+I), and the likelihood is

    ln L = lnΓ(r+x) − lnΓ(r) + r·ln α − (r+x)·ln(α+T) + s·[ln β − ln(β+T)] + ln(1+I).
"""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import integral
from .arrays import Floats, floats, in_pieces, joined
from .fit import Fit, fit_rows
from .rfm import Rows
from .rising import log_rising


@dataclass(frozen=True, slots=True)
class Params:
    """Shape and rate of the purchase rates (r, α) and of the death rates (s, β); α and β in weeks."""

    r: float
    alpha: float
    s: float
    beta: float

    def __post_init__(self) -> None:
        if not all(0 < value < np.inf for value in astuple(self)):
            raise ValueError(f"parameters of Pareto/NBD are positive and finite: {self}")


PUBLISHED = Params(r=0.553, alpha=10.578, s=0.606, beta=11.669)
"""CDNOW (Fader, Hardie and Lee 2005)."""


def log_likelihood(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """ln L of each row."""
    x, t_x, T = floats(x, t_x, T)
    r, alpha, s, beta = astuple(params)
    return np.asarray(
        log_rising(r, x)
        - r * np.log1p(T / alpha)
        - x * np.log(alpha + T)
        - s * np.log1p(T / beta)
        + np.logaddexp(0, log_odds_dead(params, x, t_x, T))
    )


def p_alive(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """P(the customer will still buy | x, t_x, T) = 1/(1+I)."""
    return np.asarray(special.expit(-log_odds_dead(params, x, t_x, T)))


def log_odds_dead(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """ln I; −∞ where T = t_x."""
    x, t_x, T = floats(x, t_x, T)
    return joined(in_pieces(lambda rows: _log_odds_dead(params, x[rows], t_x[rows], T[rows]), len(x)))


def _log_odds_dead(params: Params, x: Floats, t_x: Floats, T: Floats) -> Floats:
    k, a, b, silence = params.r + x, params.alpha + t_x, params.beta + t_x, T - t_x
    dying = integral.integral(k, params.s, a, b, silence)
    with np.errstate(divide="ignore"):  # ln 0 = −∞ where there was no silence
        return np.asarray(
            np.log(params.s * dying / b) + k * np.log1p(silence / a) + params.s * np.log1p(silence / b)
        )


def expected_purchases(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, t: ArrayLike) -> Floats:
    """E[Y(t)]: purchases expected in the t weeks after T.

    P(alive)·(r+x)/(α+T)·∫₀ᵗ ((β+T)/(β+T+u))^s du; the integral is (β+T)·ln(1+t/(β+T)) at s = 1.
    """
    x, t_x, T, t = floats(x, t_x, T, t)
    rate = (params.r + x) / (params.alpha + T)
    return np.asarray(p_alive(params, x, t_x, T) * rate * weeks_alive(params.s, params.beta + T, t))


def weeks_alive(s: float, b: Floats, t: Floats) -> Floats:
    """∫₀ᵗ (b/(b+u))^s du: of the next t weeks, how many a customer alive today is expected to be alive."""
    grown = np.log1p(t / b)
    return np.asarray(b * grown if s == 1 else b / (1 - s) * np.expm1((1 - s) * grown))


def p_no_purchase(params: Params, x: ArrayLike, T: ArrayLike, t: ArrayLike) -> Floats:
    """P₀(t): no purchase in the t weeks after T, of a customer alive at T.

    The likelihood at x = 0, t_x = 0, T = t under (r+x, α+T, s, β+T).
    """
    x, T, t = floats(x, T, t)
    return joined(in_pieces(lambda rows: _p_no_purchase(params, x[rows], T[rows], t[rows]), len(x)))


def _p_no_purchase(params: Params, x: Floats, T: Floats, t: Floats) -> Floats:
    k, a, b = params.r + x, params.alpha + T, params.beta + T
    silent = np.exp(-k * np.log1p(t / a) - params.s * np.log1p(t / b))
    dying = params.s / b * integral.integral(k, params.s, a, b, t)
    return np.asarray(np.minimum(silent + dying, 1.0))


def churn(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon: ArrayLike) -> Floats:
    """1 − P(alive)·(1 − P₀(H)): the probability that nothing is bought in the `horizon` weeks after T."""
    odds = log_odds_dead(params, x, t_x, T)
    silent = p_no_purchase(params, x, T, horizon)
    # Added up, so that small chances keep their digits.
    return np.asarray(np.minimum(special.expit(odds) + special.expit(-odds) * silent, 1.0))


def log_likelihood_with_gradient(logs: Floats, rows: Rows) -> tuple[float, Floats]:
    """Σ weight·ln L and its gradient in (ln r, ln α, ln s, ln β)."""
    params = Params(*(float(value) for value in np.exp(logs)))
    found = in_pieces(lambda piece: _piece(params, rows, piece), len(rows.x))
    total = np.sum(found, axis=0) if found else np.zeros(5)
    return float(total[0]), total[1:] * np.array(astuple(params))


def _piece(params: Params, rows: Rows, piece: slice) -> Floats:
    """ln L and ∂/∂(r, α, s, β) summed over a piece of the rows.

    Of ln I, the derivatives are those outside the integral plus means under its integrand.
    """
    r, alpha, s, beta = astuple(params)
    x, t_x, T, weight = rows.x[piece], rows.t_x[piece], rows.T[piece], rows.weight[piece]
    k, a, b, silence = r + x, alpha + t_x, beta + t_x, T - t_x
    m = integral.moments(k, s, a, b, silence)
    log_a, log_b = np.log1p(silence / a), np.log1p(silence / b)
    with np.errstate(divide="ignore"):
        log_odds = np.log(s * m.integral / b) + k * log_a + s * log_b
    dead = special.expit(log_odds)
    plain = (
        log_rising(r, x) - r * np.log1p(T / alpha) - x * np.log(alpha + T)
        - s * np.log1p(T / beta) + np.logaddexp(0, log_odds)
    )  # fmt: skip
    d_r = special.psi(k) - special.psi(r) - np.log1p(T / alpha) + dead * (log_a - m.log_a)
    d_alpha = r / alpha - k / (alpha + T) + dead * k * (1 / (alpha + T) - m.inverse_a)
    d_s = -np.log1p(T / beta) + dead * (1 / s + log_b - m.log_b)
    d_beta = s / beta - s / (beta + T) + dead * (s / (beta + T) - (s + 1) * m.inverse_b)
    return np.array([weight @ part for part in (plain, d_r, d_alpha, d_s, d_beta)])


def prior(rows: Rows) -> Params:
    """The published values, with α and β in units of these customers' median time between purchases."""
    unit = rows.pace()
    return Params(PUBLISHED.r, PUBLISHED.alpha * unit, PUBLISHED.s, PUBLISHED.beta * unit)


def fit(rows: Rows, *, use_prior: bool = True) -> Fit[Params]:
    """The parameters at the maximum a posteriori, or without the prior at the maximum of the likelihood."""
    return fit_rows(
        Params, log_likelihood_with_gradient, rows,
        prior=prior(rows), use_prior=use_prior, other_start=(0.7, 0.7, -0.7, 0.7),
    )  # fmt: skip
