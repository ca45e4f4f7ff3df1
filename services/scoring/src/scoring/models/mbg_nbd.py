"""MBG/NBD: BG/NBD in which customers may also stop right after their first purchase.

Batislam, Denizel and Filiztekin 2007, "Empirical validation and comparison of models for customer base
analysis". The formulas are those of BG/NBD with c = x + 1 chances to stop.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import bg_nbd
from .arrays import Floats, floats
from .bg_nbd import Params, p_no_purchase
from .fit import Fit, fit_rows
from .rfm import Rows

__all__ = [
    "PUBLISHED",
    "Params",
    "churn",
    "discounted_purchases",
    "expected_purchases",
    "fit",
    "log_likelihood",
    "log_likelihood_with_gradient",
    "p_alive",
    "p_no_purchase",
    "prior",
]

PUBLISHED = Params(r=0.525, alpha=6.183, a=0.891, b=1.614)
"""CDNOW, the same customers and period as the published fits of BG/NBD and Pareto/NBD."""


def log_likelihood(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """ln L of each row."""
    x, t_x, T = floats(x, t_x, T)
    return bg_nbd.log_likelihood_after(params, x, t_x, T, chances=x + 1)


def p_alive(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """P(the customer will still buy | x, t_x, T) = 1/(1+D)."""
    x, t_x, T = floats(x, t_x, T)
    return np.asarray(special.expit(-bg_nbd.log_odds_dead(params, x, t_x, T, chances=x + 1)))


def expected_purchases(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, t: ArrayLike) -> Floats:
    """E[Y(t)]: purchases expected in the t weeks after T."""
    x, t_x, T, t = floats(x, t_x, T, t)
    if_alive = bg_nbd.purchases_if_alive(params, x, T, t, chances=x + 1)
    return np.asarray(p_alive(params, x, t_x, T) * if_alive)


def discounted_purchases(
    params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, until: Floats, shares: Floats
) -> Floats:
    """Σ_k share_k·E[Y(until_k)]."""
    x, t_x, T = floats(x, t_x, T)
    return p_alive(params, x, t_x, T) * bg_nbd.discounted_if_alive(
        params, x, T, until, shares, first_chances=1
    )


def churn(params: Params, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon: ArrayLike) -> Floats:
    """1 − P(alive)·(1 − P₀(H)): the probability that nothing is bought in the `horizon` weeks after T."""
    x, t_x, T, horizon = floats(x, t_x, T, horizon)
    return bg_nbd.churn_after(params, x, t_x, T, horizon, chances=x + 1)


def log_likelihood_with_gradient(logs: Floats, rows: Rows) -> tuple[float, Floats]:
    """Σ weight·ln L and its gradient in (ln r, ln α, ln a, ln b)."""
    return bg_nbd.log_likelihood_with_gradient(logs, rows, first_chances=1)


def prior(rows: Rows) -> Params:
    """The published values, with α in units of these customers' median time between purchases."""
    return Params(PUBLISHED.r, PUBLISHED.alpha * rows.pace(), PUBLISHED.a, PUBLISHED.b)


def fit(rows: Rows, *, use_prior: bool = True) -> Fit[Params]:
    """The parameters at the maximum a posteriori, or without the prior at the maximum of the likelihood."""
    return fit_rows(
        Params, log_likelihood_with_gradient, rows,
        prior=prior(rows), use_prior=use_prior, other_start=(0.7, 0.7, -0.7, 0.7),
    )  # fmt: skip
