"""The calibrator: what it learns, what it leaves to chance, and that it never turns an order round."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from scoring.models.arrays import Floats
from scoring.models.calibration import (
    IDENTITY,
    NOT_CALIBRATED,
    Calibration,
    Calibrator,
    calibrate,
    why_not,
)
from scoring.models.metrics import metrics

log_odds = st.floats(-700, 700)
calibrators = st.builds(Calibrator, st.floats(-5, 5), st.floats(0.05, 5))


def forecasts(many: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(1.0, 1.5, many)


def outcomes(truth: Floats, seed: int = 2) -> Floats:
    return (np.random.default_rng(seed).random(len(truth)) < special.expit(truth)).astype(np.float64)


@given(calibrators, log_odds)
def test_the_map_can_be_gone_back(calibrator: Calibrator, given_odds: float) -> None:
    there = calibrator.calibrate(given_odds)
    assert calibrator.uncalibrate(there)[0] == pytest.approx(given_odds, rel=1e-9, abs=1e-9)


@given(calibrators, log_odds, log_odds)
def test_the_map_never_turns_an_order_round(calibrator: Calibrator, one: float, other: float) -> None:
    low, high = calibrator.calibrate(sorted([one, other]))
    assert low <= high


@pytest.mark.parametrize("slope", [0.0, -1.0, np.inf, np.nan])
def test_a_slope_that_is_not_positive_is_refused(slope: float) -> None:
    with pytest.raises(ValueError, match="slope positive"):
        Calibrator(0.0, slope)


def test_a_distortion_is_found_and_undone() -> None:
    given_odds = forecasts(40_000)
    found = calibrate(given_odds, outcomes(-0.5 + 0.7 * given_odds), [])
    assert found.fitted.intercept == pytest.approx(-0.5, abs=0.05)
    assert found.fitted.slope == pytest.approx(0.7, abs=0.03)
    assert found.p_value < 1e-12
    assert found.calibrator.intercept == pytest.approx(found.fitted.intercept, abs=0.005)


def test_what_chance_explains_is_left_alone() -> None:
    """Where the forecasts are right, Q is 2 on average, and most of the deviation is not carried over."""
    kept = []
    for seed in range(60):
        given_odds = forecasts(500, seed)
        found = calibrate(given_odds, outcomes(given_odds, 1000 + seed), [])
        kept.append((found.statistic, found.calibrator == IDENTITY))
    statistics, untouched = zip(*kept, strict=True)
    assert np.mean(statistics) == pytest.approx(2.0, abs=0.6)
    assert np.mean(untouched) > 0.45


def test_parameters_that_were_uncertain_then_explain_a_deviation() -> None:
    given_odds = forecasts(20_000)
    happened = outcomes(given_odds - 0.4)
    certain = calibrate(given_odds, happened, [])
    shifts = np.array([-0.5, -0.25, 0.25, 0.5])
    uncertain = calibrate(given_odds, happened, [given_odds, *(given_odds + shift for shift in shifts)])
    assert uncertain.fitted == certain.fitted
    assert uncertain.errors[0] > 5 * certain.errors[0]
    assert certain.p_value < 1e-12
    assert uncertain.p_value > 0.01
    assert abs(uncertain.calibrator.intercept) < abs(certain.calibrator.intercept)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_or_none_churned_the_map_stays_finite(share: float) -> None:
    found = calibrate(forecasts(300), np.full(300, share), [])
    assert np.isfinite([found.calibrator.intercept, found.calibrator.slope, *found.errors]).all()
    assert np.sign(found.fitted.intercept) == (1 if share else -1)


def test_extreme_forecasts_are_no_trouble() -> None:
    given_odds = np.array([-700.0, -35, -1, 0, 2, 35, 700] * 30)
    for happened in (given_odds > 0, given_odds < 0):
        found = calibrate(given_odds, happened, [given_odds, given_odds * 0.9])
        assert 0 < found.calibrator.slope < np.inf


def test_nobody_to_learn_from_changes_nothing() -> None:
    assert calibrate([], [], []) == NOT_CALIBRATED
    assert NOT_CALIBRATED.calibrator == IDENTITY


def measured(churn: Floats, happened: Floats) -> tuple[Floats, Floats, Floats]:
    return churn, np.zeros_like(churn), 1 - happened


def test_a_calibrator_is_used_only_if_it_helps_later_and_leaves_little_error() -> None:
    given_odds = forecasts(20_000)
    happened = outcomes(given_odds)
    raw = metrics(*measured(special.expit(given_odds), happened))
    off = metrics(*measured(special.expit(given_odds + 1), happened))
    worse = metrics(*measured(special.expit(given_odds + 2), happened))
    found = Calibration(Calibrator(0.3, 1.0), Calibrator(0.3, 1.0), (0.1, 0.1), 9.0, 0.01, 20_000)
    assert why_not(found, off, raw) is None
    assert "Brier" in (why_not(found, raw, off) or "")
    assert "calibration error" in (why_not(found, worse, off) or "")
    assert "nothing to correct" in (why_not(replace(found, calibrator=IDENTITY), off, raw) or "")
