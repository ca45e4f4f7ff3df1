"""How good a forecast was: its figures against what the customers then did, one entry per customer.

A forecast says two things of a customer within the horizon: the probability of no purchase (churn), and the
number of purchases to expect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Bools, Floats, Ints, floats

BINS = 10


@dataclass(frozen=True, slots=True)
class Metrics:
    """`rmse` and `mae` of purchases; the others of churn, `purchases_bias` aside. Biases are relative.

    None where the outcomes do not determine a figure; `undetermined` says why.
    """

    rmse: float
    mae: float
    auc: float | None
    brier: float
    ece: float
    bias: float | None
    purchases_bias: float | None
    undetermined: Mapping[str, str] = field(default_factory=dict)


def metrics(churn: ArrayLike, purchases: ArrayLike, bought: ArrayLike) -> Metrics:
    """Of forecast churn and purchases, when the customers then `bought` so often within the horizon.

    ValueError where there are no customers.
    """
    churn, purchases, bought = floats(churn, purchases, bought)
    if not churn.size:
        raise ValueError("no customers, so there is nothing to measure")
    churned = bought == 0
    error = purchases - bought
    everybody = "everybody" if churned.all() else "nobody"
    undetermined = {}
    if churned.all() or not churned.any():
        undetermined["auc"] = f"{everybody} churned, so there is no one to tell apart from anyone"
    if not churned.any():
        undetermined["bias"] = "nobody churned, and nothing is a multiple of none"
    if churned.all():
        undetermined["purchases_bias"] = "nothing was bought, and nothing is a multiple of none"
    return Metrics(
        rmse=float(np.sqrt(np.mean(error**2))),
        mae=float(np.abs(error).mean()),
        auc=None if "auc" in undetermined else auc(churn, churned),
        brier=float(np.mean((churn - churned) ** 2)),
        ece=ece(churn, churned),
        bias=None if "bias" in undetermined else float(churn.sum() / churned.sum() - 1),
        purchases_bias=None if churned.all() else float(purchases.sum() / bought.sum() - 1),
        undetermined=undetermined,
    )


def auc(forecast: Floats, happened: Bools) -> float:
    """P(the forecast was higher for one to whom it happened than for one to whom not), ties counted half.

    By ranks (Mann and Whitney 1947); there must be both kinds.
    """
    _, place, count = np.unique(forecast, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    yes = float(happened.sum())
    no = len(happened) - yes
    return float((rank[happened].sum() - yes * (yes + 1) / 2) / (yes * no))


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Per bin of like forecasts: how many customers, their mean forecast, the share to whom it happened."""

    customers: Floats
    forecast: Floats
    actual: Floats


def reliability(forecast: Floats, happened: Bools) -> Reliability:
    """In `BINS` bins of equally many customers; equal forecasts share a bin, so there may be fewer.

    Equally many, not equally wide: churn is mostly high, and of ten equally wide bins some would hold hardly
    anyone, so that the curve would be chance where few are and hide what differs where most are.
    """
    place = _bins(forecast)
    customers = np.bincount(place).astype(np.float64)
    return Reliability(
        customers,
        np.bincount(place, forecast) / customers,
        np.bincount(place, happened.astype(np.float64)) / customers,
    )


def _bins(forecast: Floats) -> Ints:
    edges = np.unique(np.quantile(forecast, np.arange(1, BINS) / BINS))
    _, place = np.unique(np.searchsorted(edges, forecast, side="right"), return_inverse=True)
    return place.astype(np.int64)


def ece(forecast: Floats, happened: Bools) -> float:
    """Expected calibration error: mean |forecast − what happened| over the bins of `reliability`.

    By chance alone a perfect forecast of n customers shows about 0.8·√(p(1−p)·10/n): 0.02 for 2,000.
    """
    curve = reliability(forecast, happened)
    return float(np.abs(curve.forecast - curve.actual) @ curve.customers / curve.customers.sum())
