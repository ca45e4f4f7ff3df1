import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models.loyalty import (
    INDICATORS,
    Evidence,
    Weights,
    contributions_to_change,
    loyalty,
    quantile_grid,
    repeat_rate,
    standings,
)
from scoring.models.pareto_nbd import PUBLISHED
from scoring.models.rfm import Summary

shares = st.floats(0, 1)
evidence = st.builds(
    Evidence,
    wallet_share=st.none() | shares,
    referrals=st.none() | st.integers(0, 10**6),
    purchases=st.integers(0, 10**6),
    discounted_purchases=st.none() | st.just(0),
    faults=st.integers(0, 10**6),
    repurchases_after_fault=st.just(0),
    speed_of_choosing=st.none() | shares,
    attitude_to_competitors=st.none() | shares,
    affection=st.none() | shares,
    usual_interval=st.none() | st.floats(0, 5000),
    silence=st.floats(0, 5000),
)
weights = st.builds(
    Weights, **{name: st.floats(0, 1) for name in INDICATORS} | {"repeat_rate": st.floats(0.001, 1)}
)


@given(shares, evidence, weights)
def test_points_add_up_to_the_index(rate: float, known: Evidence, weighed: Weights) -> None:
    found = loyalty(rate, known, weighed)
    assert found.index is not None
    assert sum(indicator.points for indicator in found.indicators.values()) == pytest.approx(
        found.index, abs=1e-9
    )
    observed = [(i.value, i.weight) for i in found.indicators.values() if i.value is not None]
    seen = sum(weight for _, weight in observed)
    assert found.index == pytest.approx(100 * sum(v * w for v, w in observed) / seen, abs=1e-9)
    assert found.coverage == pytest.approx(seen / sum(i.weight for i in found.indicators.values()))
    assert 0 <= found.index <= 100 + 1e-9
    assert all(i.points == 0 for i in found.indicators.values() if not i.observed)


def test_where_nothing_that_counts_is_observed_there_is_no_index() -> None:
    nothing, something = np.array([np.nan, np.nan, 0.5]), np.array([np.nan, 0.5, 0.5])
    found = standings({"repeat_rate": nothing, "affection": something}, Weights(repeat_rate=0.3, affection=0))
    assert np.isnan(found.index[:2]).all()
    assert found.index[2] == 50
    assert found.coverage[:2].tolist() == [0, 0]


@given(shares, evidence, shares, evidence, weights)
def test_what_indicators_add_to_a_change_adds_up_and_is_nothing_for_those_that_did_not_change(
    rate: float, known: Evidence, later_rate: float, later: Evidence, weighed: Weights
) -> None:
    before, now = loyalty(rate, known, weighed), loyalty(later_rate, later, weighed)
    assert before.index is not None
    assert now.index is not None
    made = contributions_to_change(before, now)
    assert sum(made.values()) == pytest.approx(now.index - before.index, abs=1e-9)
    for name, points in made.items():
        if before.indicators[name].value == now.indicators[name].value:
            assert points == 0


def test_new_evidence_moves_the_index_by_how_it_differs_from_it() -> None:
    before, now = loyalty(0.5), loyalty(0.5, Evidence(faults=2, repurchases_after_fault=2))
    made = contributions_to_change(before, now)
    assert made["fault_tolerance"] == pytest.approx(0.1 * (75 - 50) / 0.3)
    assert sum(map(abs, made.values())) == pytest.approx(made["fault_tolerance"])


def test_indices_by_different_weights_are_not_comparable() -> None:
    with pytest.raises(ValueError, match="weights 1 and 2"):
        contributions_to_change(loyalty(0.5), loyalty(0.5, weights=Weights(2)))
    with pytest.raises(ValueError, match="index"):
        contributions_to_change(loyalty(0.5), loyalty(None))


def test_the_index_is_the_weighted_mean_of_what_is_observed() -> None:
    found = loyalty(0.8, Evidence(referrals=2, purchases=8, discounted_purchases=1))
    referrals, price = 1 - math.exp(-2), 1 - 2 / 10
    assert found.index == pytest.approx(100 * (0.8 * 0.2 + referrals * 0.15 + price * 0.1) / 0.45)
    assert found.coverage == pytest.approx(0.45)
    assert not found.indicators["wallet_share"].observed
    assert found.indicators["referrals"].value == pytest.approx(referrals)


def test_the_first_weights_add_up_to_one() -> None:
    assert sum(getattr(Weights(), name) for name in INDICATORS) == pytest.approx(1)


def test_everything_observed_covers_everything() -> None:
    found = loyalty(0.5, Evidence(0.5, 0, 10, 4, 2, 1, 0.5, 0.5, 0.5, 3.0, 4.0))
    assert found.coverage == pytest.approx(1)
    assert found.indicators["fault_tolerance"].value == pytest.approx(2 / 4)
    assert found.indicators["time_of_buying"].value == pytest.approx(3 / 4)
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


def test_it_is_time_to_buy_when_as_long_as_usual_has_passed() -> None:
    def value(silence: float, usual: float | None = 3.0) -> float | None:
        return (
            loyalty(0.5, Evidence(usual_interval=usual, silence=silence)).indicators["time_of_buying"].value
        )

    assert value(0) == value(3) == 1
    assert value(9) == pytest.approx(1 / 3)
    assert value(9, None) is None, "one purchase has no interval"
    assert value(1 / 7, 0.0) == 1, "purchases of one day are one, so an interval is at least a day"


def test_weights_are_data_and_their_version_stays_with_the_index() -> None:
    none = dict.fromkeys(INDICATORS, 0.0)
    found = loyalty(
        0.4, Evidence(wallet_share=1.0), Weights(2, **none | {"repeat_rate": 1, "wallet_share": 9})
    )
    assert found.index == pytest.approx(94)
    assert found.weights_version == 2
    with pytest.raises(ValueError, match="not negative"):
        Weights(referrals=-0.1)
    with pytest.raises(ValueError, match="above 0"):
        Weights(1, **none)
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
