import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models.customer_events import event_value, rhythm_value


def test_events_add_up_discounted_by_their_time() -> None:
    value = event_value([1, 0.5, 0.2], [100, 200, -50], [0, 1, 2], 0.1)
    assert value == pytest.approx(100 + 0.5 * 200 / 1.1 - 0.2 * 50 / 1.1**2)


def test_no_events_are_worth_nothing() -> None:
    assert event_value([], [], [], 0.1) == 0


@pytest.mark.parametrize(
    ("probability", "time", "discount", "rule"),
    [(1.1, 0, 0.1, "probabilities"), (0.5, -1, 0.1, "times"), (0.5, 1, -1, "discount")],
)
def test_events_that_are_none_are_refused(
    probability: float, time: float, discount: float, rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        event_value([probability], [10], [time], discount)


@given(
    first=st.floats(0, 1),
    again=st.floats(0, 1),
    wait=st.floats(0, 30),
    gap=st.floats(0.5, 20),
    ahead=st.floats(0, 100),
    discount=st.floats(0, 0.2),
)
def test_a_rhythm_is_worth_its_events(
    first: float, again: float, wait: float, gap: float, ahead: float, discount: float
) -> None:
    count = int(np.maximum(np.floor((ahead - wait) / gap) + 1, 0))
    e = np.arange(count)
    events = event_value(first * again**e, np.full(count, 7.0), wait + e * gap, discount)
    found = rhythm_value(first, again, wait, gap, 7.0, ahead, discount)
    assert found[0] == pytest.approx(events, rel=1e-9, abs=1e-9)


def test_rhythms_of_many_customers_are_valued_at_once() -> None:
    value = rhythm_value([1.0, 0.5], [1.0, 0.0], [1.0, 2.0], [1.0, 1.0], [10.0, 10.0], 3.5, 0.0)
    assert value == pytest.approx([30.0, 5.0])
