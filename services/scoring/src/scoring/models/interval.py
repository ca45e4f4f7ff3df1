"""Intervals that show what is not known of the parameters: wide where customers are few.

Churn is taken to be normal in its log-odds, purchases in their logarithm, with the standard deviations over
the plausible parameters of `forecast`. They are intervals of what the model expects. What one customer then
does varies more: an expectation of half a purchase is never met.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from .arrays import Floats
from .calibration import Calibrator
from .forecast import Forecaster
from .score import Customers

_NINE_OF_TEN = 1.6448536269514722  # standard deviations to either side
_LEAST = 1e-300


class Interval(NamedTuple):
    """Where a figure lies in nine of ten cases, per customer."""

    low: Floats
    high: Floats


def intervals(
    asked: Sequence[Forecaster], customers: Customers, horizon: float, calibrator: Calibrator
) -> tuple[Interval, Interval]:
    """Of calibrated churn within `horizon` weeks, and of the purchases expected in them.

    `asked` are a model as fitted, then with other plausible parameters.
    """
    log_odds = np.array([calibrator.calibrate(f.log_odds_churn(customers, horizon)) for f in asked])
    purchases = np.maximum([f.purchases(customers, horizon) for f in asked], _LEAST)
    churn, bought = _interval(log_odds), _interval(np.log(purchases))
    return Interval(special.expit(churn.low), special.expit(churn.high)), Interval(*np.exp(bought))


def _interval(asked: Floats) -> Interval:
    as_fitted, others = asked[0], asked[1:]
    half = _NINE_OF_TEN * np.sqrt(np.mean((others - as_fitted) ** 2, axis=0))
    return Interval(as_fitted - half, as_fitted + half)
