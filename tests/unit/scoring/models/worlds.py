"""Worlds whose truth is known, for backtests: who buys when, until they stop."""

from datetime import date

import numpy as np

from scoring.models.backtest import Purchases

BEGIN = date(2024, 1, 1)


def pareto_nbd_world(
    customers: int, seed: int, *, weeks: float = 78, joining: float = 12, regular: int = 1, most: int = 400
) -> Purchases:
    """Purchase rates Gamma(0.9, 6), death rates Gamma(1.2, 40), first purchases over the first weeks.

    `regular`: the shape of the gaps between purchases; 1 is the model's own, more are more even.
    """
    dice = np.random.default_rng(seed)
    first = dice.uniform(0, joining, customers)
    rate, death = dice.gamma(0.9, 1 / 6, customers), dice.gamma(1.2, 1 / 40, customers)
    gone = first + dice.exponential(1 / np.maximum(death, 1e-12))
    gaps = dice.gamma(regular, 1 / regular, (customers, most)) / np.maximum(rate, 1e-12)[:, None]
    times = np.column_stack([first, first[:, None] + np.cumsum(gaps, axis=1)])
    seen = times <= np.minimum(gone, weeks)[:, None]
    seen[:, 0] = True
    who = np.broadcast_to(np.arange(customers)[:, None], times.shape)[seen]
    return Purchases(who, np.datetime64(BEGIN, "D") + np.floor(times[seen] * 7).astype(np.int64))
