from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models.rfm import Summary
from scoring.models.value_history import Purchases, frequency_class
from stack import cdnow as sample


def test_a_customer_stands_as_their_purchases_say() -> None:
    purchases = Purchases.of([1, 0, 1, 1], [9.0, 4.0, 2.0, 5.0], [30, 10, 20, 40])
    standing = purchases.standing(10.0)
    assert standing.who.tolist() == [0, 1]
    assert standing.x.tolist() == [0, 2]
    assert standing.t_x.tolist() == [0, 7]
    assert standing.T.tolist() == [6, 8]
    assert standing.spent.tolist() == [10, 90]
    assert standing.mean_repeat.tolist() == [0, 35]


def test_purchases_at_one_instant_are_one() -> None:
    purchases = Purchases.of([0, 0, 0], [3.0, 3.0, 4.0], [1, 2, 4])
    assert purchases.week.tolist() == [3, 4]
    assert purchases.amount.tolist() == [3, 4]


def test_the_sample_stands_as_the_purchase_model_sees_it(cdnow: Summary) -> None:
    rows = sample.purchases()
    days = np.array([row.day.toordinal() for row in rows])
    purchases = Purchases.of([int(row.customer) for row in rows], days / 7, [row.cents / 100 for row in rows])
    until = date(1997, 9, 30).toordinal() / 7
    standing = purchases.until(until).standing(until)
    assert standing.x == pytest.approx(cdnow.rows.x)
    assert standing.t_x == pytest.approx(cdnow.rows.t_x)
    assert list(standing.T) == pytest.approx(list(cdnow.rows.T))
    assert standing.mean_repeat == pytest.approx(cdnow.mean_amount)


def test_frequency_classes_begin_at_one_two_four_eight_and_sixteen_days() -> None:
    assert frequency_class([1, 2, 3, 4, 7, 8, 15, 16, 900]).tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_spells_last_from_one_period_with_purchases_to_the_next() -> None:
    # Periods of 10 back from 100: purchases in the periods (90, 100], (60, 70], twice, and (20, 30].
    spells = Purchases.of([0] * 4, [25.0, 64.0, 66.0, 91.0], [1, 2, 4, 8]).spells(10.0, 100.0)
    assert spells.length.tolist() == [4, 3, 0]
    assert spells.ended.tolist() == [True, True, False]
    assert spells.frequency.tolist() == [0, 1, 2]
    assert spells.then[:2].tolist() == [1, 2]
    assert spells.spend[:2].tolist() == [6, 8]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 90), st.floats(0, 1e3)), max_size=50),
    st.floats(0.3, 30),
)
def test_spells_cover_each_customer_s_time_since_the_first_purchase(
    rows: list[tuple[int, float, float]], period: float
) -> None:
    who, when, much = (np.array([row[i] for row in rows], dtype=np.float64) for i in range(3))
    purchases = Purchases.of(who.astype(np.int64), when, much)
    spells, standing = purchases.spells(period, 90.0), purchases.standing(90.0)
    assert spells.length.sum() == np.floor(standing.T / period).sum()
    assert np.count_nonzero(~spells.ended) == len(standing.who) == np.unique(who).size
    assert (spells.length[spells.ended] >= 1).all()


@given(st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    who, when, much = np.array([0, 0, 1, 1, 2, 2]), np.arange(6.0), np.arange(6.0) + 1
    one, other = Purchases.of(who, when, much), Purchases.of(who[order], when[order], much[order])
    assert one.week.tolist() == other.week.tolist()
    assert one.amount.tolist() == other.amount.tolist()


@pytest.mark.parametrize(
    ("customer", "week", "amount", "rule"),
    [
        ([0, -1], [1, 1], [1, 1], "row 1: customer ≥ 0"),
        ([0, 1], [1, np.nan], [1, 1], "row 1: week is finite"),
        ([0, 1], [1, 1], [-5, 1], "row 0: amount is finite and ≥ 0"),
        ([0, 1], [1], [1], "as long as each other"),
        ([0.5], [1], [1], "numbered with integers"),
    ],
)
def test_purchases_that_are_none_are_refused(
    customer: list[float], week: list[float], amount: list[float], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        Purchases.of(customer, week, amount)
