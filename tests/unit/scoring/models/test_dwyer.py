import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.models.dwyer import (
    RECENCIES,
    estimate_migration,
    estimate_retention,
    migration_ahead,
    migration_value,
    recency_matrix,
    retention_value,
)
from scoring.models.value_history import CLASSES, Purchases

DWYER = recency_matrix([0.3, 0.2, 0.15, 0.05])
REWARDS = [36, -4, -4, -4, 0]

shares = st.floats(0, 1)


def test_the_published_migration_is_reproduced() -> None:
    value = migration_value(DWYER, REWARDS, 0.2)
    assert value == pytest.approx([52.3196, 5.5538, 1.2508, -1.8200, 0], abs=5e-5)


def test_migration_without_end_is_the_sum_over_all_periods() -> None:
    rewards = np.array(REWARDS, dtype=np.float64)
    ahead = migration_ahead(DWYER, rewards, 1.2 ** -np.arange(1.0, 300))
    assert rewards + ahead == pytest.approx(migration_value(DWYER, REWARDS, 0.2), abs=1e-9)


@given(st.lists(shares, min_size=1, max_size=8), st.lists(st.floats(-100, 100), min_size=9, max_size=9))
def test_migration_satisfies_its_own_equation(buys: list[float], some: list[float]) -> None:
    matrix, rewards = recency_matrix(buys), np.array(some[: len(buys) + 1])
    assert matrix.sum(axis=1) == pytest.approx(1)
    value = migration_value(matrix, rewards, 0.1)
    assert value == pytest.approx(rewards + matrix @ value / 1.1, abs=1e-8)


@pytest.mark.parametrize(
    ("matrix", "rewards", "discount", "rule"),
    [
        ([[1.0]], [1, 2], 0.1, "P must be 2 by 2"),
        ([[0.6, 0.6], [0, 1]], [1, 2], 0.1, "more than 1"),
        ([[1.5, -0.5], [0, 1]], [1, 2], 0.1, "negative"),
        ([[0, 1], [0, 1]], [1, 2], 0.0, "discount is 0.0"),
    ],
)
def test_a_migration_that_is_none_is_refused(
    matrix: list[list[float]], rewards: list[float], discount: float, rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        migration_value(matrix, rewards, discount)


def test_a_chance_of_buying_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        recency_matrix([0.3, 1.2])


def test_retention_adds_up_what_is_left_each_period() -> None:
    expected = 100 * 20 + 100 * 0.8 * 30 / 1.1 + 100 * 0.8 * 0.5 * 30 / 1.1**2 - 500
    assert retention_value(100, [0.8, 0.5], [20, 30, 30], 0.1, 500) == pytest.approx(expected)


@settings(max_examples=30)
@given(st.floats(0, 0.99), st.floats(0.01, 1), st.floats(1, 1000))
def test_steady_retention_is_a_geometric_series(rate: float, discount: float, margin: float) -> None:
    value = retention_value(1, [rate] * 2000, [margin] * 2001, discount)
    assert value == pytest.approx(margin / (1 - rate / (1 + discount)), rel=1e-6)


@given(st.lists(shares, min_size=1, max_size=6), st.floats(0, 1), st.integers(0, 5))
def test_keeping_more_customers_is_never_worth_less(rates: list[float], more: float, where: int) -> None:
    margins = [10.0] * (len(rates) + 1)
    better = list(rates)
    better[where % len(rates)] = max(better[where % len(rates)], more)
    assert retention_value(1, better, margins, 0.1) >= retention_value(1, rates, margins, 0.1) - 1e-9


@pytest.mark.parametrize(
    ("rates", "margins", "discount", "rule"),
    [
        ([0.5], [1], 0.1, "1 margins need 0 rates"),
        ([1.5], [1, 1], 0.1, "between 0 and 1"),
        ([0.5], [1, 1], -1.0, "not above -1"),
    ],
)
def test_a_retention_that_is_none_is_refused(
    rates: list[float], margins: list[float], discount: float, rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        retention_value(1, rates, margins, discount)


def coins(chance: float, customers: int = 4000, periods: int = 30) -> Purchases:
    """Customers who buy for 10 in the first period, and in each other one if a coin says so."""
    bought = np.random.default_rng(4).random((customers, periods)) < chance
    bought[:, 0] = True
    who, when = np.nonzero(bought)
    return Purchases.of(who, when + 0.5, np.full(len(who), 10.0))


def test_migration_is_estimated_as_the_coin_says() -> None:
    migration = estimate_migration(coins(0.3).spells(1.0, 30.0))
    buys = np.array(migration.buys).sum(axis=2)
    assert buys[:4, :5] == pytest.approx(np.full((4, 5), 0.3), abs=0.03)
    assert migration.spend == pytest.approx([10.0] * CLASSES)
    matrix = migration.matrix()
    assert matrix.sum(axis=1) == pytest.approx(1)
    ahead = migration_ahead(matrix, migration.rewards(), np.ones(8))
    assert ahead[::RECENCIES][:4] == pytest.approx(8 * 0.3 * 10, rel=0.05)


def test_retention_is_estimated_where_customers_leave_for_good() -> None:
    dice = np.random.default_rng(5)
    stay = dice.geometric(0.1, 5000)  # bought in each of so many periods, then never again
    who = np.repeat(np.arange(5000), stay)
    when = np.concatenate([np.arange(n) for n in stay]) + 0.5
    spells = Purchases.of(who, when, np.full(len(who), 10.0)).until(40.0).spells(1.0, 40.0)
    retention = estimate_retention(spells)
    assert retention.patience == 1
    assert retention.rates == pytest.approx([0.9] * CLASSES, abs=0.015)
    assert retention.spend == pytest.approx([9.0] * CLASSES, abs=0.15)


def test_without_purchases_nothing_is_foretold() -> None:
    spells = Purchases.of(np.empty(0, dtype=np.int64), [], []).spells(1.0, 10.0)
    assert not np.array(estimate_migration(spells).buys).any()
    retention = estimate_retention(spells)
    assert (retention.rates, retention.spend) == ((1.0,) * CLASSES, (0.0,) * CLASSES)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 50), st.floats(0, 1e6)), max_size=60),
    st.floats(0.5, 20),
)
def test_estimates_are_chances_whatever_the_histories(
    rows: list[tuple[int, float, float]], period: float
) -> None:
    who, when, much = (np.array([row[i] for row in rows]) for i in range(3))
    spells = Purchases.of(who.astype(np.int64), when, much).spells(period, 50.0)
    migration, retention = estimate_migration(spells), estimate_retention(spells)
    buys = np.array(migration.buys)
    assert (buys >= 0).all()
    assert (buys.sum(axis=2) <= 1 + 1e-12).all()
    assert all(0 <= rate <= 1 for rate in retention.rates)
    assert np.isfinite(migration.spend).all()
    assert np.isfinite(retention.spend).all()
