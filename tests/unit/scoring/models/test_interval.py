"""Intervals: they hold the figure, are as wide as the parameters are uncertain, and follow the calibrator."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from scoring.models.calibration import Calibrator
from scoring.models.complaints import Complaint, Schedules
from scoring.models.interval import intervals
from scoring.models.score import Customers, Model, score

PEOPLE = Customers.of(
    [0, 0, 1, 5, 300], [0, 0, 4, 38, 39.9], [0, 39, 39, 39, 40], schedules=Schedules.of({3: [Complaint(36)]})
)
MODEL = Model()


@pytest.mark.parametrize("variance", [1e-4, 0.01, 1.0])
def test_the_figure_lies_within(variance: float) -> None:
    found = score(PEOPLE, MODEL, 13)
    alive, churn, purchases = intervals(PEOPLE, MODEL, variance * np.eye(4), 13)
    silent = PEOPLE.t_x < PEOPLE.T
    assert ((alive.low < found.p_alive) & (found.p_alive < alive.high))[silent].all()
    assert ((churn.low < found.churn) & (found.churn < churn.high)).all()
    assert ((purchases.low < found.expected_purchases) & (found.expected_purchases < purchases.high)).all()


def test_whoever_buys_at_this_moment_is_certainly_there() -> None:
    alive = intervals(Customers.of(3, 10, 10), MODEL, np.eye(4), 13).p_alive
    assert alive.low == alive.high == 1


@pytest.mark.parametrize(("x", "t_x", "T"), [(300, 40, 40), (2, 10, 5000), (300, 1, 5000), (0, 0, 5000)])
def test_intervals_of_all_but_certain_figures_are_finite_and_hold_them(
    x: float, t_x: float, T: float
) -> None:
    person = Customers.of(x, t_x, T)
    found, (_, churn, purchases) = score(person, MODEL, 52), intervals(person, MODEL, np.eye(4), 52)
    assert 0 <= churn.low <= found.churn <= churn.high <= 1
    assert 0 <= purchases.low <= found.expected_purchases <= purchases.high < np.inf


def test_twice_the_uncertainty_makes_twice_the_width_while_it_is_small() -> None:
    one, two = (intervals(PEOPLE, MODEL, sigma**2 * np.eye(4), 13).churn for sigma in (1e-3, 2e-3))
    ratio = (special.logit(two.high) - special.logit(two.low)) / (
        special.logit(one.high) - special.logit(one.low)
    )
    assert ratio == pytest.approx(2, rel=1e-3)


def test_intervals_of_churn_are_calibrated_as_churn_is() -> None:
    calibrated = replace(MODEL, calibrator=Calibrator(-0.3, 0.7, horizon=13))
    raw, found = (intervals(PEOPLE, model, 0.02 * np.eye(4), 13) for model in (MODEL, calibrated))
    assert special.logit(found.churn.low) == pytest.approx(-0.3 + 0.7 * special.logit(raw.churn.low))
    assert special.logit(found.churn.high) == pytest.approx(-0.3 + 0.7 * special.logit(raw.churn.high))
    assert found.expected_purchases.low == pytest.approx(raw.expected_purchases.low)
