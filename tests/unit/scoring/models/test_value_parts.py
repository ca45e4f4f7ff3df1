"""The factors of a lifetime value, which multiply and add up to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models import gamma_gamma, score
from scoring.models.complaints import Complaint, Schedules
from scoring.models.score import Customers, Model
from scoring.models.value_parts import Parts, value_parts

MODEL = Model()


def parts_of(customers: Customers) -> Parts:
    return value_parts(customers, MODEL, score.score(customers, MODEL, 13).p_alive)


@given(
    x=st.integers(0, 1000),
    T=st.floats(0.1, 5000),
    recency=st.floats(0, 1),
    mean=st.floats(0, 1e15),
    complained=st.none() | st.floats(0, 1),
)
def test_the_factors_multiply_to_the_value(
    x: int, T: float, recency: float, mean: float, complained: float | None
) -> None:
    schedules = Schedules.none() if complained is None else Schedules.of({0: [Complaint(complained * T)]})
    customers = Customers.of(x, T * recency if x else 0.0, T, mean, schedules)
    found, expected = parts_of(customers), score.score(customers, MODEL, 13).clv
    np.testing.assert_allclose(found.product, expected, rtol=1e-12)
    np.testing.assert_allclose(
        found.amount, gamma_gamma.expected_amount(MODEL.spend, customers.x, customers.mean_amount), rtol=1e-12
    )


@given(x=st.integers(1, 1000), mean=st.floats(0.01, 1e6))
def test_the_expected_amount_is_a_weighted_mean_of_the_customers_own_and_of_all(x: int, mean: float) -> None:
    found = parts_of(Customers.of(x, 10.0, 20.0, mean))
    weight = found.own_weight[0]
    assert 0 < weight < 1
    assert found.own_amount[0] == pytest.approx(weight * mean, rel=1e-12)
    assert found.all_amount[0] == pytest.approx((1 - weight) * found.all_mean[0], abs=1e-9)


def test_who_never_bought_again_is_expected_to_spend_what_all_spend() -> None:
    found = parts_of(Customers.of(0, 0, 20, 0))
    assert (found.own_weight[0], found.own_amount[0]) == (0, 0)
    assert found.all_amount[0] == found.all_mean[0] > 0
