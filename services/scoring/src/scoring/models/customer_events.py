"""Lifetime value as the sum of the events expected of a customer: Σ_e p_e·v_e/(1+d)^{t_e}.

For each customer a series of events is predicted, each with its probability p, the profit v it would bring
(or cost: v < 0), and the time t until then. (The customer-event method; Berger and Nasr 1998, "Customer
Lifetime Value: Marketing Models and Applications", give the arithmetic.)
"""

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Floats, floats


def event_value(probability: ArrayLike, profit: ArrayLike, time: ArrayLike, discount: float) -> float:
    """Σ p·v/(1+d)^t in the unit of the profits; times in the periods of the discount, none in the past."""
    p, v, t = floats(probability, profit, time)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"probabilities lie between 0 and 1: {p.tolist()}")
    if not (t >= 0).all():
        raise ValueError(f"times are not negative: {t.tolist()}")
    if not discount > -1:
        raise ValueError(f"discount is {discount}, not above -1")
    return float((p * v * (1 + discount) ** -t).sum())


def rhythm_value(
    first: ArrayLike,
    again: ArrayLike,
    wait: ArrayLike,
    gap: ArrayLike,
    profit: ArrayLike,
    ahead: float,
    discount: float,
) -> Floats:
    """The same for customers who buy at a rhythm, each a row, over purchases within the time `ahead`.

    The next purchase comes after `wait` with probability `first`, and each one after a `gap` > 0 with
    probability `again` if the one before came: t_e = wait + e·gap, p_e = first·again^e, e = 0, 1, …
    """
    first, again, wait, gap, profit = floats(first, again, wait, gap, profit)
    count = np.maximum(np.floor((ahead - wait) / gap) + 1, 0.0)
    log_ratio = np.log(np.maximum(again, 1e-300)) - gap * np.log1p(discount)
    nearly_one = np.abs(log_ratio) < 1e-12
    safe = np.where(nearly_one, -1.0, log_ratio)
    series = np.where(nearly_one, count, np.expm1(count * safe) / np.expm1(safe))
    return np.asarray(first * profit * (1 + discount) ** -wait * series)
