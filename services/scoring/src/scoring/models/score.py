"""One call that scores one customer or a million."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import complaint_clock, gamma_gamma, pareto_nbd
from .arrays import Floats, Ints, floats
from .calibration import IDENTITY, Calibrator
from .clv import Terms
from .complaint_clock import Clock
from .complaint_effect import PRIOR_GAMMA, Gamma
from .complaints import Schedules


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """What the model knows of each customer now; `mean_amount` of the x repeat purchases."""

    x: Floats
    t_x: Floats
    T: Floats
    mean_amount: Floats
    schedules: Schedules

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
        mean_amount: ArrayLike = 0.0,
        schedules: Schedules | None = None,
    ) -> "Customers":
        """From numbers or arrays."""
        x, t_x, T, mean_amount = floats(x, t_x, T, mean_amount)
        return cls(x, t_x, T, mean_amount, schedules or Schedules.none())

    def take(self, rows: Ints) -> "Customers":
        """The given rows, in their order; each at most once."""
        return Customers(
            self.x[rows], self.t_x[rows], self.T[rows], self.mean_amount[rows], self.schedules.take(rows)
        )


@dataclass(frozen=True, slots=True)
class Model:
    """Everything a score depends on besides the customer. Churn, and nothing else, is calibrated."""

    purchase: pareto_nbd.Params = pareto_nbd.PUBLISHED
    gamma: Gamma = PRIOR_GAMMA
    spend: gamma_gamma.Params = gamma_gamma.PUBLISHED
    terms: Terms = field(default_factory=Terms)
    calibrator: Calibrator = IDENTITY


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One entry per customer; `clv` in the unit of the amounts."""

    p_alive: Floats
    churn: Floats
    expected_purchases: Floats
    clv: Floats


class Odds(NamedTuple):
    """What churn is made of, uncalibrated: ln I, the log-odds of being dead, and P₀, the chance that a living
    one is silent; `silent_where_calibrated` is that within the calibrator's horizon."""

    dead: Floats
    silent: Floats
    silent_where_calibrated: Floats

    @property
    def churn(self) -> Floats:
        """1 − P(alive)·(1 − P₀), added up so that small chances keep their digits."""
        return np.minimum(special.expit(self.dead) + special.expit(-self.dead) * self.silent, 1.0)

    @property
    def log_odds_churn(self) -> Floats:
        """logit(churn) = ln (I + P₀)/(1 − P₀), precise where churn is next to 0 or 1; within ±700."""
        with np.errstate(divide="ignore"):
            found: Floats = np.logaddexp(self.dead, np.log(self.silent)) - np.log1p(-self.silent)
        return np.clip(found, -700.0, 700.0)


def odds(customers: Customers, model: Model, horizon: float) -> Odds:
    """What churn within `horizon` weeks is made of."""
    clock = Clock.of(customers.schedules, model.gamma)
    params, x, T = model.purchase, customers.x, customers.T
    dead = complaint_clock.log_odds_dead(params, clock, x, customers.t_x, T)
    silent = complaint_clock.p_no_purchase(params, clock, x, T, horizon)
    if model.calibrator == IDENTITY or model.calibrator.horizon == horizon:
        return Odds(dead, silent, silent)
    return Odds(dead, silent, complaint_clock.p_no_purchase(params, clock, x, T, model.calibrator.horizon))


def score(customers: Customers, model: Model, horizon: float, known: Odds | None = None) -> Scores:
    """P(alive), churn within `horizon` weeks, purchases expected within them, and lifetime value.

    `known` are the customers' odds, where the caller has them already.
    """
    x, T, params = customers.x, customers.T, model.purchase
    found = odds(customers, model, horizon) if known is None else known
    clock = Clock.of(customers.schedules, model.gamma)
    alive = special.expit(-found.dead)
    rate = (params.r + x) / (params.alpha + T) * alive
    ahead = complaint_clock.weeks_alive(params, clock, T, np.array([horizon]), np.ones(1))
    discounted = complaint_clock.weeks_alive(params, clock, T, *model.terms.schedule())
    amount = gamma_gamma.expected_amount(model.spend, x, customers.mean_amount)
    value = model.terms.margin * amount * rate * discounted
    return Scores(alive, _churn(model, found), rate * ahead, value)


def expected_purchases(customers: Customers, model: Model, horizon: float, known: Odds) -> Floats:
    """Only the purchases expected within `horizon` weeks; `known` are the customers' odds."""
    params, T = model.purchase, customers.T
    clock = Clock.of(customers.schedules, model.gamma)
    rate = (params.r + customers.x) / (params.alpha + T) * special.expit(-known.dead)
    return rate * complaint_clock.weeks_alive(params, clock, T, np.array([horizon]), np.ones(1))


def churn(customers: Customers, model: Model, horizon: float) -> Floats:
    """Only the probability that nothing is bought within `horizon` weeks."""
    return _churn(model, odds(customers, model, horizon))


def log_odds_churn(customers: Customers, model: Model, horizon: float) -> Floats:
    """Its log-odds."""
    return calibrated(model, odds(customers, model, horizon))


def calibrated(model: Model, found: Odds) -> Floats:
    """Log-odds of churn, of what it is made of."""
    if model.calibrator == IDENTITY:
        return found.log_odds_churn
    where_calibrated = found._replace(silent=found.silent_where_calibrated)
    return model.calibrator.carry_over(found.log_odds_churn, where_calibrated.log_odds_churn)


def _churn(model: Model, found: Odds) -> Floats:
    if model.calibrator == IDENTITY:
        return found.churn  # precise next to 0 as well
    return np.asarray(special.expit(calibrated(model, found)))
