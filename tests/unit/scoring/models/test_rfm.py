from datetime import date

import numpy as np
import pytest

from scoring.models.rfm import Rows, Summary, summarize


def test_purchases_on_one_day_are_one_purchase_and_their_amounts_add_up() -> None:
    found = summarize(
        ["b", "a", "a", "a", "a"],
        np.array(
            ["2024-01-05", "2024-01-01", "2024-01-15", "2024-01-15", "2024-01-01"], dtype="datetime64[D]"
        ),
        [7.0, 1.0, 20.0, 5.0, 2.0],
        date(2024, 1, 29),
    )
    assert found.customer.tolist() == ["a", "b"]
    assert found.rows.x.tolist() == [1, 0]
    assert found.rows.t_x.tolist() == [2, 0]
    assert pytest.approx([4, 24 / 7]) == found.rows.T
    assert found.mean_amount.tolist() == [25, 0]


def test_purchases_after_the_end_do_not_count() -> None:
    days = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], dtype="datetime64[D]")
    found = summarize(["a", "a", "b"], days, [1, 1, 1], date(2024, 1, 15))
    assert found.customer.tolist() == ["a"]
    assert found.rows.x.tolist() == [0]
    assert summarize([], np.array([], dtype="datetime64[D]"), [], date(2024, 1, 1)).rows.customers == 0


def test_the_sample_has_the_published_numbers_of_customers(cdnow: Summary) -> None:
    assert (cdnow.rows.customers, cdnow.rows.repeat_buyers) == (2357, 946)


def test_collapsed_rows_stand_for_the_same_customers(cdnow: Summary) -> None:
    distinct = cdnow.rows.collapsed()
    assert len(distinct.x) < 1100
    assert distinct.customers == 2357
    assert float(distinct.x @ distinct.weight) == float(cdnow.rows.x.sum())
    np.testing.assert_allclose(distinct.T @ distinct.weight, cdnow.rows.T.sum())


def test_very_many_rows_are_fitted_by_the_day() -> None:
    rng = np.random.default_rng(1)
    T = rng.uniform(0, 100, 150_000)
    rows = Rows.of(np.zeros_like(T), np.zeros_like(T), T).for_fitting()
    assert len(rows.x) <= 701
    assert rows.customers == 150_000


def test_very_many_young_customers_are_not_all_made_the_same_age() -> None:
    T = np.random.default_rng(1).uniform(0, 0.5, 150_000)
    rows = Rows.of(np.zeros_like(T), np.zeros_like(T), T).for_fitting()
    assert 150 < len(rows) < 300
    assert float(rows.weight @ rows.T) == pytest.approx(float(T.sum()), rel=1e-3)


def test_the_time_between_purchases_is_a_median_over_purchases() -> None:
    assert Rows.of([0, 1, 9], [0, 50, 9], [60, 60, 60]).time_between_purchases() == 1
    assert Rows.of([0], [0], [60]).time_between_purchases() is None


@pytest.mark.parametrize(
    ("row", "rule"),
    [((-1, 0, 5), "x ≥ 0"), ((1, 6, 5), "t_x ≤ T"), ((0, 1, 5), "t_x = 0"), ((1, 1, np.nan), "finite")],
)
def test_a_row_that_breaks_a_rule_is_named(row: tuple[float, float, float], rule: str) -> None:
    with pytest.raises(ValueError, match=f"row 1: .*{rule}"):
        Rows.of(*([1.0 if i == 0 else i * 2.0, value] for i, value in enumerate(row)))
