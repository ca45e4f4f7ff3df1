"""BG/NBD: customers may stop for ever after any repeat purchase, each with their own probability.

Purchase rate λ ~ Gamma(r, α) per week, dropout probability p ~ Beta(a, b). Fader, Hardie and Lee 2005,
"Counting Your Customers the Easy Way". A challenger only: whoever bought once is certainly alive, however
long ago that was.

With c chances to stop so far (here the x repeat purchases; in MBG/NBD the first purchase is one as well) the
posterior odds of being dead are D = a/(b+c−1) · ((α+T)/(α+t_x))^{r+x}, zero at c = 0; P(alive) = 1/(1+D);

    ln L = lnΓ(r+x) − lnΓ(r) + r·ln α − (r+x)·ln(α+T) + ln B(a, b+c) − ln B(a, b) + ln(1+D).
"""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import dropout
from .arrays import Floats, floats, in_pieces
from .fit import Fit, fit_rows
from .rfm import Rows
from .rising import log_rising


@dataclass(frozen=True, slots=True)
class Params:
    """Shape and rate of the purchase rates (r, α), and the Beta of the dropout probabilities (a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def __post_init__(self) -> None:
        if not all(0 < value < np.inf for value in astuple(self)):
            raise ValueError(f"parameters of BG/NBD are positive and finite: {self}")


PUBLISHED = Params(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""CDNOW (Fader, Hardie and Lee 2005)."""


def log_likelihood(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """ln L of each row."""
    x, t_x, T = floats(x, t_x, T)
    return log_likelihood_after(params, x, t_x, T, chances=x)


def p_alive(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """P(the customer will still buy | x, t_x, T) = 1/(1+D)."""
    x, t_x, T = floats(x, t_x, T)
    return np.asarray(special.expit(-log_odds_dead(params, x, t_x, T, chances=x)))


def expected_purchases(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, t: ArrayLike) -> Floats:
    """E[Y(t)]: purchases expected in the t weeks after T."""
    x, t_x, T, t = floats(x, t_x, T, t)
    return np.asarray(p_alive(params, x, t_x, T) * purchases_if_alive(params, x, T, t, chances=x))


def discounted_purchases(
    params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, until: Floats, shares: Floats
) -> Floats:
    """Σ_k share_k·E[Y(until_k)]."""
    x, t_x, T = floats(x, t_x, T)
    return p_alive(params, x, t_x, T) * discounted_if_alive(params, x, T, until, shares, first_chances=0)


def p_no_purchase(params: Params, x: ArrayLike, T: ArrayLike, t: ArrayLike) -> Floats:
    """P₀(t) = ((α+T)/(α+T+t))^{r+x}: no purchase in the t weeks after T of a customer alive at T."""
    x, T, t = floats(x, T, t)
    return np.exp(-(params.r + x) * np.log1p(t / (params.alpha + T)))


def churn(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon: ArrayLike) -> Floats:
    """1 − P(alive)·(1 − P₀(H)): the probability that nothing is bought in the `horizon` weeks after T."""
    x, t_x, T, horizon = floats(x, t_x, T, horizon)
    return churn_after(params, x, t_x, T, horizon, chances=x)


def prior(rows: Rows) -> Params:
    """The published values, with α in units of these customers' median time between purchases."""
    return Params(PUBLISHED.r, PUBLISHED.alpha * rows.pace(), PUBLISHED.a, PUBLISHED.b)


def fit(rows: Rows, *, use_prior: bool = True) -> Fit[Params]:
    """The parameters at the maximum a posteriori, or without the prior at the maximum of the likelihood."""
    return fit_rows(
        Params, log_likelihood_with_gradient, rows,
        prior=prior(rows), use_prior=use_prior, other_start=(0.7, 0.7, -0.7, 0.7),
    )  # fmt: skip


def log_likelihood_with_gradient(logs: Floats, rows: Rows, first_chances: int = 0) -> tuple[float, Floats]:
    """Σ weight·ln L and its gradient in (ln r, ln α, ln a, ln b); chances = x + `first_chances`."""
    params = Params(*(float(value) for value in np.exp(logs)))
    found = in_pieces(lambda piece: _piece(params, rows, piece, first_chances), len(rows.x))
    total = np.sum(found, axis=0) if found else np.zeros(5)
    return float(total[0]), total[1:] * np.array(astuple(params))


def log_odds_dead(params: Params, x: Floats, t_x: Floats, T: Floats, *, chances: Floats) -> Floats:
    """ln D; −∞ for those who had no chance to stop."""
    r, alpha, a, b = astuple(params)
    had = chances > 0
    odds = np.log(a) - np.log(np.where(had, b + (chances - 1), 1.0))
    return np.where(had, odds + (r + x) * np.log1p((T - t_x) / (alpha + t_x)), -np.inf)


def log_likelihood_after(params: Params, x: Floats, t_x: Floats, T: Floats, *, chances: Floats) -> Floats:
    """ln L of each row after so many chances to stop."""
    r, alpha, a, b = astuple(params)
    return np.asarray(
        log_rising(r, x)
        - r * np.log1p(T / alpha)
        - x * np.log(alpha + T)
        + log_rising(b, chances)
        - log_rising(a + b, chances)
        + np.logaddexp(0, log_odds_dead(params, x, t_x, T, chances=chances))
    )


def churn_after(
    params: Params, x: Floats, t_x: Floats, T: Floats, horizon: Floats, *, chances: Floats
) -> Floats:
    """The probability that nothing is bought, after so many chances to stop.

    Added up, so that small chances keep their digits.
    """
    odds = log_odds_dead(params, x, t_x, T, chances=chances)
    silent = p_no_purchase(params, x, T, horizon)
    return np.asarray(np.minimum(special.expit(odds) + special.expit(-odds) * silent, 1.0))


def purchases_if_alive(params: Params, x: Floats, T: Floats, t: Floats, *, chances: Floats) -> Floats:
    """E[Y(t)] of a customer alive at T, whose dropout probability is now Beta(a, b + chances)."""
    r, alpha, a, b = astuple(params)
    return dropout.purchases(a, b + chances, r + x, t / (alpha + T))


def discounted_if_alive(
    params: Params, x: Floats, T: Floats, until: Floats, shares: Floats, first_chances: int
) -> Floats:
    """Σ_k share_k·E[Y(until_k)] of customers alive at T; once for those with the same x and T."""
    distinct, place = np.unique(x + 1j * T, return_inverse=True)  # pairs, in one number
    x, T = np.ascontiguousarray(distinct.real), np.ascontiguousarray(distinct.imag)
    total = np.zeros_like(x)
    for t, share in zip(until, shares, strict=True):
        total += share * purchases_if_alive(params, x, T, np.full_like(x, t), chances=x + first_chances)
    return total[place]


def _piece(params: Params, rows: Rows, piece: slice, first_chances: int) -> Floats:
    """ln L and ∂/∂(r, α, a, b) summed over a piece of the rows."""
    r, alpha, a, b = astuple(params)
    x, t_x, T, weight = rows.x[piece], rows.t_x[piece], rows.T[piece], rows.weight[piece]
    k, chances = r + x, x + first_chances
    dead = special.expit(log_odds_dead(params, x, t_x, T, chances=chances))
    d_r = special.psi(k) - special.psi(r) - np.log1p(T / alpha) + dead * np.log1p((T - t_x) / (alpha + t_x))
    d_alpha = r / alpha - k / (alpha + T) + dead * k * (1 / (alpha + T) - 1 / (alpha + t_x))
    both = special.psi(a + b) - special.psi(a + b + chances)
    d_a = both + dead / a
    d_b = both + special.psi(b + chances) - special.psi(b)
    d_b -= dead / np.where(chances > 0, b + (chances - 1), 1.0)
    value = log_likelihood_after(params, x, t_x, T, chances=chances)
    return np.array([weight @ part for part in (value, d_r, d_alpha, d_a, d_b)])
