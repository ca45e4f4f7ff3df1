import math

import numpy as np
import pytest

from scoring.models.loyalty import INDICATORS, Evidence, Weights, loyalty, quantile_grid, repeat_rate
from scoring.models.pareto_nbd import PUBLISHED
from scoring.models.rfm import Summary


def test_the_index_is_the_weighted_mean_of_what_is_observed() -> None:
    found = loyalty(0.8, Evidence(referrals=2, purchases=8, discounted_purchases=1))
    referrals, price = 1 - math.exp(-2), 1 - 2 / 10
    assert found.index == pytest.approx(100 * (0.8 * 0.3 + referrals * 0.15 + price * 0.1) / 0.55)
    assert found.coverage == pytest.approx(0.55)
    assert not found.indicators["wallet_share"].observed
    assert found.indicators["referrals"].value == pytest.approx(referrals)


def test_everything_observed_covers_everything() -> None:
    found = loyalty(0.5, Evidence(0.5, 0, 10, 4, 2, 1, 0.5, 0.5))
    assert found.coverage == pytest.approx(1)
    assert found.indicators["fault_tolerance"].value == pytest.approx(2 / 4)
    assert found.indicators["referrals"].value == 0
    assert set(found.indicators) == set(INDICATORS)


def test_missing_evidence_is_said_and_not_guessed() -> None:
    found = loyalty(None)
    assert found.index is None
    assert found.coverage == 0
    assert all(indicator.value is None for indicator in found.indicators.values())


def test_no_fault_says_nothing_about_tolerance_and_no_purchase_nothing_about_price() -> None:
    found = loyalty(0.5, Evidence(purchases=0, discounted_purchases=0, faults=0))
    assert found.indicators["fault_tolerance"].value is None
    assert found.indicators["price_insensitivity"].value is None


def test_weights_are_data_and_their_version_stays_with_the_index() -> None:
    found = loyalty(0.4, Evidence(wallet_share=1.0), Weights(version="2", repeat_rate=0.1, wallet_share=0.9))
    assert found.index == pytest.approx(94)
    assert found.weights_version == "2"
    with pytest.raises(ValueError, match="not negative"):
        Weights(referrals=-0.1)
    with pytest.raises(ValueError, match="wallet_share"):
        loyalty(0.4, Evidence(wallet_share=1.2))


def test_the_repeat_rate_is_a_percentile_of_the_population(cdnow: Summary) -> None:
    rows = cdnow.rows
    grid = quantile_grid(PUBLISHED, rows.x, rows.T)
    shares = repeat_rate(PUBLISHED, rows.x, rows.T, grid)
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    order = np.argsort(rows.x, kind="stable")
    assert shares[order][-1] > 0.99
    low, middle, high = repeat_rate(PUBLISHED, [0, 0, 900], [5000, 33, 10], grid)
    assert (low, high) == (0, 1)
    assert 0.1 < middle < 0.7


def test_where_all_are_alike_everybody_is_in_the_middle() -> None:
    grid = quantile_grid(PUBLISHED, np.zeros(100), np.full(100, 30.0))
    assert repeat_rate(PUBLISHED, 0, 30, grid)[0] == 0.5
