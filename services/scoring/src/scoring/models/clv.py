"""Customer lifetime value: the margin on the purchases still expected, discounted.

    CLV = margin · E[M] · Σ_k (E[Y(t_k)] − E[Y(t_{k−1})])/(1+d)^k

with E[Y] of the purchase model and E[M] of Gamma-Gamma (Fader, Hardie and Lee 2005, "RFM and CLV").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import complaint_clock, gamma_gamma, pareto_nbd
from .arrays import Floats, floats
from .complaint_clock import Clock

WEEKS_PER_MONTH = 365.2425 / 12 / 7


@dataclass(frozen=True, slots=True)
class Terms:
    """How purchases to come are valued: the margin's share of an amount, the discount, how far ahead."""

    margin: float = 0.3
    yearly_discount: float = 0.1
    months: int = 36

    @property
    def monthly_discount(self) -> float:
        """d per month, such that twelve make the yearly discount."""
        return float((1 + self.yearly_discount) ** (1 / 12) - 1)

    def schedule(self) -> tuple[Floats, Floats]:
        """Instants t_k in weeks, and shares: Σ_k (V(t_k) − V(t_{k−1}))/(1+d)^k = Σ_k share_k·V(t_k)."""
        month = np.arange(1.0, self.months + 1)
        worth = (1 + self.monthly_discount) ** -month
        return month * WEEKS_PER_MONTH, worth - np.append(worth[1:], 0.0)


def clv(
    params: pareto_nbd.Params,
    clock: Clock,
    spend: gamma_gamma.Params,
    terms: Terms,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    mean_amount: ArrayLike,
) -> Floats:
    """CLV in the unit of the amounts; `mean_amount` of the x repeat purchases."""
    x, t_x, T, mean_amount = floats(x, t_x, T, mean_amount)
    rate = (params.r + x) / (params.alpha + T) * complaint_clock.p_alive(params, clock, x, t_x, T)
    weeks = complaint_clock.weeks_alive(params, clock, T, *terms.schedule())
    return np.asarray(terms.margin * gamma_gamma.expected_amount(spend, x, mean_amount) * rate * weeks)


def of_purchases(
    discounted: Floats, spend: gamma_gamma.Params, terms: Terms, x: ArrayLike, mean_amount: ArrayLike
) -> Floats:
    """CLV by any purchase model, from Σ_k share_k·E[Y(t_k)] over the terms' schedule."""
    return terms.margin * gamma_gamma.expected_amount(spend, x, mean_amount) * discounted
