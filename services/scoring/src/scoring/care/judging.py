"""Whether a newly fitted model is to be served: backtests at past origins, calibration, comparison.

Nothing here reads a clock or a database. The backtests repeat the whole procedure as it would have been at an
earlier day: fit to what was known by then, forecast, compare with what followed. The calibrator is learnt at
the earliest of them and proven at the later ones; what is served is the very map that was proven.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from scipy import special

from scoring.models.arrays import Floats
from scoring.models.backtest import (
    Complaints,
    Cut,
    Evaluation,
    Purchases,
    cut,
    evaluate,
    learn,
    like_origin,
)
from scoring.models.calibration import IDENTITY, Calibration, Calibrator, why_not
from scoring.models.complaint_effect import PRIOR_GAMMA, Gamma
from scoring.models.forecast import WITH_COMPLAINTS, Forecaster
from scoring.models.metrics import Metrics, metrics
from scoring.models.score import Model

_BEYOND_CHANCE = 1.645  # standard errors: by chance, a model as good seems so much worse once in 20 times
_NOTICEABLE_CHURN, _NOTICEABLE_PURCHASES = 0.005, 0.2
"""Shares of the served model's error. Where the days compared were unusual, any change in the wrong
direction, however small, is beyond chance; and errors of purchases hang on a few who buy much."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What customers did, as it is known now, up to and with a day; of one customer in `one_in`."""

    purchases: Purchases
    complaints: Complaints
    until: date
    one_in: int


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A backtest: how the procedure, as of an earlier day, forecast what followed."""

    cut: Cut
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the calibrator was learnt from, and what speaks against it; None: nothing, it is used."""

    calibration: Calibration
    origin: date
    until: date
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a candidate's mean squared error exceeds that of the model served, and how exactly."""

    mean: float
    error: float

    def beyond(self, noticeable: float) -> bool:
        """Whether it does by more than that, and by more than chance explains."""
        return self.mean > max(noticeable, _BEYOND_CHANCE * self.error)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same days, each as it is or would be served: the candidate, and the one served.

    Both may have been fitted to what these days hold; neither has an advantage the other has not. The squared
    errors are of churn, whose mean is the Brier score, and of the purchases expected.
    """

    origin: date
    until: date
    customers: int
    candidate: Metrics
    served: Metrics
    churn: Difference
    purchases: Difference


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Whether a candidate is to be served, why, and on what evidence."""

    published: bool
    why: str
    calibrator: Calibrator
    trials: list[Trial]
    learnt: Learnt | None
    comparison: Comparison | None
    one_in: int


def judge(
    candidate: Model, served: Model, history: History, horizon_days: int, assumed: Gamma = PRIOR_GAMMA
) -> Judgement:
    """Of a candidate fitted to everything known, against the model served now."""
    trials, learnt = _trials(history, horizon_days, assumed)
    calibrator = IDENTITY
    if learnt and not learnt.why_not:
        calibrator = replace(learnt.calibration.calibrator, horizon=horizon_days / 7)
    comparison = None
    if trials:
        comparison = _compare(replace(candidate, calibrator=calibrator), served, trials[-1].cut)
    published, why = _decide(comparison)
    return Judgement(published, why, calibrator, trials, learnt, comparison, history.one_in)


def _decide(comparison: Comparison | None) -> tuple[bool, str]:
    if comparison is None:
        return True, "the history is too short for a backtest, so that nothing speaks against it"
    made, before = comparison.candidate, comparison.served
    brier = f"Brier score {made.brier:.5f} against {before.brier:.5f}"
    rmse = f"RMSE {made.rmse:.4f} against {before.rmse:.4f}"
    if comparison.churn.beyond(_NOTICEABLE_CHURN * before.brier):
        return False, f"it forecasts churn worse than the model served: {brier}"
    if comparison.purchases.beyond(_NOTICEABLE_PURCHASES * before.rmse**2):
        return False, f"it forecasts purchases worse than the model served: {rmse}"
    return True, f"it forecasts not noticeably worse than the model served: {brier}, {rmse}"


def _trials(history: History, horizon_days: int, assumed: Gamma) -> tuple[list[Trial], Learnt | None]:
    """Backtests at later origins, the latest last, with the calibrator learnt at an earlier one."""
    days, ahead = history.purchases.day, timedelta(days=horizon_days)
    if not days.size:
        return [], None
    begin: date = days.min().item()
    latest = history.until - ahead
    origins = [origin for origin in (latest - ahead / 2, latest) if origin > begin]
    if not origins:
        return [], None
    cuts = [cut(history.purchases, history.complaints, origin, origin + ahead) for origin in origins]
    origin = like_origin(begin, origins[0], origins[0] + ahead)
    past = cut(history.purchases, history.complaints, origin, min(origin + ahead, origins[0]))
    calibration = learn(WITH_COMPLAINTS, past, assumed)
    trials = [Trial(one, evaluate(WITH_COMPLAINTS, one, calibration, assumed)) for one in cuts]
    against = [why_not(calibration, t.evaluation.raw, t.evaluation.calibrated) for t in trials]
    objection = next((reason for reason in against if reason), None)
    return trials, Learnt(calibration, past.origin, past.end, objection)


def _compare(candidate: Model, served: Model, at: Cut) -> Comparison:
    """Both on what was known at the cut's origin, against what followed."""
    one, other = _forecast(candidate, at), _forecast(served, at)
    churn, purchases = (
        _difference((mine - actual) ** 2 - (theirs - actual) ** 2)
        for mine, theirs, actual in zip(one, other, (at.churned.astype(np.float64), at.bought), strict=True)
    )
    return Comparison(
        at.origin,
        at.end,
        len(at.bought),
        metrics(*one, at.bought),
        metrics(*other, at.bought),
        churn,
        purchases,
    )


def _difference(errors: Floats) -> Difference:
    return Difference(float(errors.mean()), float(errors.std() / np.sqrt(len(errors))))


def _forecast(model: Model, at: Cut) -> tuple[Floats, Floats]:
    """Calibrated churn, and purchases."""
    forecaster = Forecaster(WITH_COMPLAINTS, model.purchase, model.gamma)
    log_odds = model.calibrator.calibrate(forecaster.log_odds_churn(at.customers, at.horizon))
    return np.asarray(special.expit(log_odds)), forecaster.purchases(at.customers, at.horizon)
