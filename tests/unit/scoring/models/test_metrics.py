"""Measures of a forecast against counting by hand, and where the outcomes leave one without meaning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models.metrics import BINS, auc, ece, metrics, reliability


def test_errors_and_biases_are_those_counted_by_hand() -> None:
    found = metrics(churn=[0.9, 0.5, 0.2], purchases=[0.1, 1.0, 3.0], bought=[0, 2, 3])
    assert found.rmse == pytest.approx(np.sqrt((0.01 + 1 + 0) / 3))
    assert found.mae == pytest.approx(1.1 / 3)
    assert found.brier == pytest.approx((0.01 + 0.25 + 0.04) / 3)
    assert found.bias == pytest.approx(1.6 / 1 - 1)
    assert found.purchases_bias == pytest.approx(4.1 / 5 - 1)
    assert found.auc == 1.0
    assert found.ece == pytest.approx((0.1 + 0.5 + 0.2) / 3)
    assert not found.undetermined


def test_where_everybody_churned_there_is_nobody_to_tell_apart() -> None:
    found = metrics([0.9, 0.8], [0.1, 0.2], [0, 0])
    assert (found.auc, found.purchases_bias) == (None, None)
    assert found.bias == pytest.approx(-0.15)
    assert set(found.undetermined) == {"auc", "purchases_bias"}
    assert "everybody churned" in found.undetermined["auc"]


def test_where_nobody_churned_churn_has_no_bias() -> None:
    found = metrics([0.1, 0.2], [1.0, 2.0], [1, 2])
    assert (found.auc, found.bias) == (None, None)
    assert found.purchases_bias == 0
    assert set(found.undetermined) == {"auc", "bias"}


def test_without_customers_there_is_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="no customers"):
        metrics([], [], [])


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_told_apart(drawn: list[tuple[int, bool]]) -> None:
    forecast = np.array([value / 5 for value, _ in drawn])
    happened = np.array([yes for _, yes in drawn])
    if happened.all() or not happened.any():
        return
    pairs = forecast[happened][:, None] - forecast[~happened]
    by_hand = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert auc(forecast, happened) == pytest.approx(by_hand)


@given(st.integers(1, 400), st.integers(1, 30), st.integers(0, 99))
def test_equal_forecasts_share_a_bin_and_no_bin_is_empty(many: int, different: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    forecast = dice.choice(dice.random(different), many)
    curve = reliability(forecast, dice.random(many) < forecast)
    assert curve.customers.sum() == many
    assert 1 <= len(curve.customers) <= min(BINS, len(np.unique(forecast)))
    assert (np.diff(curve.forecast) > 0).all()
    assert curve.forecast @ curve.customers == pytest.approx(forecast.sum())


def test_bins_hold_equally_many_where_forecasts_differ() -> None:
    forecast = np.random.default_rng(1).random(1000) ** 4
    assert set(reliability(forecast, forecast > 0.5).customers) == {100.0}


def test_the_order_of_customers_changes_no_measure() -> None:
    dice = np.random.default_rng(2)
    forecast = dice.choice([0.1, 0.4, 0.7, 0.9], 300)
    happened = dice.random(300) < forecast
    mixed = dice.permutation(300)
    assert ece(forecast[mixed], happened[mixed]) == pytest.approx(ece(forecast, happened), abs=1e-12)
    assert auc(forecast[mixed], happened[mixed]) == pytest.approx(auc(forecast, happened), abs=1e-12)


def test_a_perfect_forecast_shows_only_the_error_of_chance() -> None:
    dice = np.random.default_rng(3)
    forecast = dice.random(100_000)
    assert ece(forecast, dice.random(100_000) < forecast) < 0.006
    assert ece(forecast, dice.random(100_000) < forecast**2) == pytest.approx(1 / 6, abs=0.01)
