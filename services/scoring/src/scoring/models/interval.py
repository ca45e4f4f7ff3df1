"""Intervals that show what is not known of the parameters: wide where customers are few.

Probabilities are taken to be normal in their log-odds, purchases in their logarithm, with the standard
deviations over the plausible parameters of `forecast`. They are intervals of what the model expects. What one
customer then does varies more: an expectation of half a purchase is never met.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import special

from .arrays import Floats, weighed
from .forecast import plausible
from .score import Customers, Model, calibrated, expected_purchases, odds

_NINE_OF_TEN = 1.6448536269514722  # standard deviations to either side
_LEAST = 1e-300


class Interval(NamedTuple):
    """Where a figure lies in nine of ten cases, per customer."""

    low: Floats
    high: Floats


class Intervals(NamedTuple):
    """Those of a score's figures."""

    p_alive: Interval
    churn: Interval
    expected_purchases: Interval


def of_log_odds(asked: Sequence[Floats]) -> Interval:
    """Of the probability whose log-odds as fitted are the first, by what other plausible parameters say."""
    found = _interval(asked)
    return Interval(special.expit(found.low), special.expit(found.high))


def of_amount(asked: Sequence[Floats]) -> Interval:
    """The same of what is not negative."""
    found = _interval([np.log(np.maximum(amount, _LEAST)) for amount in asked])
    return Interval(np.minimum(np.exp(found.low), asked[0]), np.exp(found.high))


def intervals(customers: Customers, model: Model, covariance: Floats, horizon: float) -> Intervals:
    """Of P(alive), of churn within `horizon` weeks, calibrated as the model is, and of the purchases in them.

    `covariance` is that of the logarithms of the purchase parameters.
    """
    others = (replace(model, purchase=params) for params in plausible(model.purchase, covariance))
    asked = [(each, odds(customers, each, horizon)) for each in (model, *others)]
    return Intervals(
        of_log_odds([-found.dead for _, found in asked]),
        of_log_odds([calibrated(each, found) for each, found in asked]),
        of_amount([expected_purchases(customers, each, horizon, found) for each, found in asked]),
    )


def _interval(asked: Sequence[Floats]) -> Interval:
    as_fitted, others = asked[0], np.array(asked[1:])
    with np.errstate(invalid="ignore"):  # ∞ − ∞ where all are certain
        variance = weighed(np.full(len(others), 1 / len(others)), (others - as_fitted) ** 2)
    half = np.where(np.isfinite(as_fitted), _NINE_OF_TEN * np.sqrt(variance), 0.0)
    return Interval(as_fitted - half, as_fitted + half)
