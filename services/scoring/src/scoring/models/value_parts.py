"""The factors that a lifetime value is the product of.

    CLV = margin · E[M] · P(alive) · (r+x)/(α+T) · weeks

with E[M] = w·m̄ + (1 − w)·pγ/(q − 1), w = px/(px + q − 1), of Gamma-Gamma (Fader and Hardie 2013), and `weeks`
those that a living customer is expected to stay alive of the months ahead, discounted.
"""

from typing import NamedTuple

import numpy as np

from . import complaint_clock, gamma_gamma
from .arrays import Floats
from .complaint_clock import Clock
from .score import Customers, Model


class Parts(NamedTuple):
    """One entry per customer; amounts in the unit of the amounts, the rate per week."""

    margin: Floats
    own_weight: Floats
    own_amount: Floats
    """What the customer's own mean amount adds to E[M]: its weight times it."""
    all_mean: Floats
    all_amount: Floats
    """What the mean of everybody adds to E[M]."""
    p_alive: Floats
    rate: Floats
    weeks: Floats

    @property
    def amount(self) -> Floats:
        """E[M]."""
        return self.own_amount + self.all_amount

    @property
    def product(self) -> Floats:
        """The lifetime value."""
        return self.margin * self.amount * self.p_alive * self.rate * self.weeks


def value_parts(customers: Customers, model: Model, p_alive: Floats) -> Parts:
    """The factors of each customer's lifetime value, whose probability to be alive is known."""
    x, T, params, spend = customers.x, customers.T, model.purchase, model.spend
    own_weight = spend.p * x / (spend.p * x + spend.q - 1)
    own_mean = np.where(x > 0, np.maximum(customers.mean_amount, 0.0), 0.0)
    all_mean = gamma_gamma.expected_amount(spend, np.zeros_like(x), 0.0)
    clock = Clock.of(customers.schedules, model.gamma)
    return Parts(
        margin=np.full_like(x, model.terms.margin),
        own_weight=own_weight,
        own_amount=own_weight * own_mean,
        all_mean=all_mean,
        all_amount=all_mean * (spend.q - 1) / (spend.p * x + spend.q - 1),
        p_alive=p_alive,
        rate=(params.r + x) / (params.alpha + T),
        weeks=complaint_clock.weeks_alive(params, clock, T, *model.terms.schedule()),
    )
