"""Calibration: what forecasts of churn at an earlier origin were wrong by, taken off those of today.

    logit(calibrated churn) = intercept + slope·logit(churn),    slope > 0

Platt 1999, "Probabilistic Outputs for Support Vector Machines". The map is fitted to what happened after an
earlier origin. Two things make a forecast made there wrong: the model, as today's will be too, and the
parameters, which were uncertain then and are others now. Only the first may be carried over. So the
deviation from the identity, d = (intercept, ln slope), is shrunk by as much as chance explains,

    d·max(0, 1 − 2/Q),    Q = dᵀV⁻¹d,

with V the covariance of d from the sample of outcomes and from the uncertainty of the parameters; on average
Q is 2 where the model is true (the empirical Bayes estimate with the prior variance found by moments).

The map is of churn within one horizon, H₀. It says nothing of when those buy who do so within H₀, nor of when
the others do after it: of that the model keeps its say. With F(H) the chance of a purchase within H, and F′
calibrated,

    F′(H) = F′(H₀)·F(H)/F(H₀)  up to H₀,    1 − F′(H) = (1 − F′(H₀))·(1 − F(H))/(1 − F(H₀))  beyond.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .arrays import Floats, floats
from .metrics import Metrics

GOOD_ECE = 0.03
_RIDGE = np.array([1.0, 0.5])  # σ of the prior on d: finite where everybody churned, or nobody
_ROUNDS = 50
_FARTHEST = 700.0  # log-odds beyond which a chance is 0 or 1


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A rising map of log-odds of churn within `horizon` weeks."""

    intercept: float = 0.0
    slope: float = 1.0
    horizon: float = 90 / 7

    def __post_init__(self) -> None:
        if not (np.isfinite(self.intercept) and 0 < self.slope < np.inf):
            raise ValueError(f"a calibrator's intercept is finite and its slope positive: {self}")

    def calibrate(self, log_odds: ArrayLike) -> Floats:
        """Calibrated log-odds of the model's."""
        (given,) = floats(log_odds)
        return np.asarray(self.intercept + self.slope * given)

    def carry_over(self, log_odds: ArrayLike, at_horizon: ArrayLike) -> Floats:
        """Calibrated log-odds of churn within another horizon, where `at_horizon` are the model's of churn
        within the calibrator's."""
        given, known = floats(log_odds, at_horizon)
        right, shorter = self.calibrate(known), given > known
        log_chance = np.where(  # of a purchase within the shorter horizon, of none within the longer one
            shorter,
            special.log_expit(-right) + special.log_expit(-given) - special.log_expit(-known),
            special.log_expit(right) + special.log_expit(given) - special.log_expit(known),
        )
        with np.errstate(divide="ignore"):
            against = np.log(-np.expm1(log_chance)) - log_chance
        found = np.clip(np.where(shorter, against, -against), -_FARTHEST, _FARTHEST)
        return np.where(given == known, right, found)

    def uncalibrate(self, log_odds: ArrayLike) -> Floats:
        """The model's log-odds of calibrated ones, as a threshold is mapped back."""
        (given,) = floats(log_odds)
        return np.asarray((given - self.intercept) / self.slope)


IDENTITY = Calibrator()


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an earlier origin taught: the map to use, the map as fitted, and the evidence that they differ.

    `statistic` is Q, `p_value` the probability of a larger one where only chance is at work. `errors` are
    those of the intercept and of ln slope.
    """

    calibrator: Calibrator
    fitted: Calibrator
    errors: tuple[float, float]
    statistic: float
    p_value: float
    customers: int


NOT_CALIBRATED = Calibration(IDENTITY, IDENTITY, (float(_RIDGE[0]), float(_RIDGE[1])), 0.0, 1.0, 0)
"""Where there is nobody to learn from."""


def calibrate(log_odds: ArrayLike, churned: ArrayLike, plausible: Sequence[Floats]) -> Calibration:
    """From forecasts at an earlier origin and what then happened, 1 or true where nothing was bought.

    `plausible` are log-odds of churn of some or all of these customers, the first row as forecast, every
    other as parameters drawn from their posterior would have forecast it.
    """
    given, happened = floats(log_odds, np.asarray(churned, dtype=np.float64))
    if not given.size:
        return NOT_CALIBRATED
    at = _platt(given, happened)
    spread = np.linalg.inv(_curvature(at, given, happened))
    if len(plausible) > 1:
        same = np.array([_platt(plausible[0], special.expit(other)) for other in plausible[1:]])
        spread = spread + same.T @ same / len(same)  # about the identity, where the parameters are as fitted
    statistic = float(at @ np.linalg.solve(spread, at))
    kept = max(0.0, 1 - 2 / statistic) if statistic > 0 else 0.0
    errors = np.sqrt(np.diag(spread))
    return Calibration(
        calibrator=_of(kept * at) if kept else IDENTITY,
        fitted=_of(at),
        errors=(float(errors[0]), float(errors[1])),
        statistic=statistic,
        p_value=float(np.exp(-statistic / 2)),
        customers=len(given),
    )


def why_not(found: Calibration, raw: Metrics, calibrated: Metrics) -> str | None:
    """What speaks against using a calibrator, by forecasts at a later origin; None: nothing does."""
    if found.calibrator == IDENTITY:
        return "earlier forecasts were off by no more than chance explains, so there is nothing to correct"
    if calibrated.brier >= raw.brier:
        return f"the Brier score does not fall: {raw.brier:.4f} before, {calibrated.brier:.4f} after"
    if calibrated.ece > GOOD_ECE:
        return f"the calibration error {calibrated.ece:.4f} is above {GOOD_ECE}"
    return None


def _of(at: Floats) -> Calibrator:
    return Calibrator(float(at[0]), float(np.exp(at[1])))


def _platt(log_odds: Floats, happened: Floats) -> Floats:
    """d at the highest posterior, by Newton's steps, halved until they climb."""
    at = np.zeros(2)
    cost = _cost(at, log_odds, happened)
    for _ in range(_ROUNDS):
        step = np.linalg.solve(_curvature(at, log_odds, happened), _slope(at, log_odds, happened))
        step /= max(1.0, float(np.abs(step).max()))
        while (lower := _cost(at - step, log_odds, happened)) > cost and np.abs(step).max() > 1e-9:
            step = step / 2
        at, cost = at - step, min(lower, cost)
        if np.abs(step).max() <= 1e-9:
            break
    return at


def _cost(at: Floats, log_odds: Floats, happened: Floats) -> float:
    z = at[0] + np.exp(at[1]) * log_odds
    return float((np.logaddexp(0, z) - happened * z).sum() + ((at / _RIDGE) ** 2).sum() / 2)


def _slope(at: Floats, log_odds: Floats, happened: Floats) -> Floats:
    steep = np.exp(at[1]) * log_odds
    wrong = special.expit(at[0] + steep) - happened
    return np.asarray(np.array([wrong.sum(), wrong @ steep]) + at / _RIDGE**2)


def _curvature(at: Floats, log_odds: Floats, happened: Floats) -> Floats:
    """The expected Hessian, which is positive definite everywhere."""
    steep = np.exp(at[1]) * log_odds
    p = special.expit(at[0] + steep)
    weight = p * (1 - p)
    cross = weight @ steep
    found = np.array([[weight.sum(), cross], [cross, weight @ steep**2]])
    return np.asarray(found + np.diag(1 / _RIDGE**2))
