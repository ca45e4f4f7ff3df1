"""What a customer is worth: which method is taken, what is measured, and what the total is of."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from scoring.care.domain import PUBLISHED, as_deployed
from scoring.facts.domain import DAY, WEEK, State
from scoring.facts.reading import micros
from scoring.models.complaint_effect import PRIOR_GAMMA
from scoring.models.value_backtest import Backtest
from scoring.models.value_history import Purchases
from scoring.models.value_methods import METHODS, SEGMENTS
from scoring.value.domain import (
    NOT_COMPARED,
    Comparison,
    Worth,
    compare,
    is_due,
    word_of_mouth,
    worth,
)
from shared.errors import Conflict
from shared.testing import FixedClock
from stack import cdnow as sample

NOW = FixedClock().at
SERVED = as_deployed(PUBLISHED, 0.4, PRIOR_GAMMA)


def bought(*days_ago: int, amount: int = 2000) -> State:
    """A customer who bought so many days ago, each time for the same."""
    instants = sorted(micros(NOW) - ago * DAY for ago in days_ago)
    count = len(instants)
    return State(
        purchases=count,
        days=count,
        spent_minor=count * amount,
        repeat_minor=(count - 1) * amount,
        first_at=instants[0],
        last_at=instants[-1],
    )


REGULAR = bought(300, 250, 180, 120, 90, 40, 10)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """The methods compared on the sample, moved so that it ends now."""
    rows = sample.purchases()
    ends = max(row.day for row in rows)
    weeks = np.array([micros(NOW) / WEEK - (ends - row.day).days / 7 for row in rows])
    purchases = Purchases.of([int(row.customer) - 1 for row in rows], weeks, [row.cents for row in rows])
    return compare(purchases, version=3, model_version=2, one_in=1, at=NOW)


def of(state: State, comparison: Comparison | None, **configured: int | None) -> Worth:
    named = {"information_minor": None, "knowledge_minor": None} | configured
    return worth(state, SERVED, comparison, **named, now=NOW)


def test_the_method_taken_is_the_winner_of_the_customer_s_segment(comparison: Comparison) -> None:
    segments = set()
    for state in (
        bought(5),
        bought(400),
        bought(300, 20),
        bought(400, 300),
        REGULAR,
        bought(500, 480, 460, 440),
    ):
        found = of(state, comparison).purchase
        assert found is not None
        assert found.segment is not None
        segments.add(found.segment)
        assert [method.method for method in found.methods] == list(METHODS)
        (taken,) = [method for method in found.methods if method.taken]
        assert (taken.method, taken.value_minor) == (found.method, found.value_minor)
        if found.contest is not None and found.contest.decided:
            assert found.method == found.contest.winner
            assert found.because == "least_error"
            errors = {method.method: method.error for method in found.methods}
            spending = found.contest.errors[found.method].rmse
            taken_error = errors[found.method]
            assert taken_error is not None
            assert taken_error.rmse == pytest.approx(0.4 * spending)
        else:
            assert (found.method, found.because) == ("probabilistic", "too_little_data")
    assert segments == set(SEGMENTS)


def test_all_methods_say_something_of_a_regular_customer(comparison: Comparison) -> None:
    found = of(REGULAR, comparison).purchase
    assert found is not None
    for method in found.methods:
        assert method.value_minor is not None
        assert 1000 < method.value_minor < 100_000


def test_twice_the_margin_is_worth_twice_as_much(comparison: Comparison) -> None:
    configured = {"information_minor": None, "knowledge_minor": None}
    one = worth(REGULAR, as_deployed(PUBLISHED, 0.2, PRIOR_GAMMA), comparison, **configured, now=NOW).purchase
    two = worth(REGULAR, as_deployed(PUBLISHED, 0.4, PRIOR_GAMMA), comparison, **configured, now=NOW).purchase
    assert one is not None
    assert two is not None
    for less, more in zip(one.methods, two.methods, strict=True):
        assert more.value_minor == pytest.approx(2 * (less.value_minor or 0), abs=1)


def test_before_a_comparison_the_probabilistic_model_is_taken_and_says_why() -> None:
    found = of(REGULAR, None).purchase
    assert found is not None
    assert (found.method, found.because, found.text, found.segment) == (
        "probabilistic",
        "not_compared",
        NOT_COMPARED,
        None,
    )
    assert [method.value_minor is None for method in found.methods] == [False, True, True, True, True]
    assert all(method.error is None for method in found.methods)


def test_too_little_history_is_said() -> None:
    few = Comparison(1, NOW, 0, 1, Backtest(None, 0.0, None, 9, (), None, "needs 100 customers"))
    found = of(REGULAR, few).purchase
    assert found is not None
    assert (found.method, found.because) == ("probabilistic", "too_little_data")
    assert "needs 100 customers" in found.text


def test_a_segment_that_nobody_was_in_is_left_to_the_probabilistic_model(comparison: Comparison) -> None:
    none = replace(comparison, backtest=replace(comparison.backtest, contests=()))
    found = of(REGULAR, none).purchase
    assert found is not None
    assert (found.method, found.because) == ("probabilistic", "too_little_data")


def test_a_winner_that_has_nothing_to_say_of_the_segment_yields_to_the_next_best(
    comparison: Comparison,
) -> None:
    learnt = comparison.backtest.learnt
    assert learnt is not None
    (contest,) = [c for c in comparison.backtest.contests if c.segment == "often_recent"]
    best = contest.errors["probabilistic"].rmse / 2
    rigged = replace(
        contest,
        errors=dict(contest.errors) | {"curve": replace(contest.errors["curve"], rmse=best)},
        winner="curve",
    )
    tested = replace(comparison.backtest, contests=(rigged,), learnt=replace(learnt, curves={}))
    found = of(REGULAR, replace(comparison, backtest=tested)).purchase
    assert found is not None
    assert found.method == min(contest.errors, key=lambda m: (m == "curve", contest.errors[m].rmse))
    assert [m.value_minor for m in found.methods if m.method == "curve"] == [None]


def test_only_what_is_measured_is_in_the_total() -> None:
    plain, configured = of(REGULAR, None), of(REGULAR, None, information_minor=500, knowledge_minor=0)
    assert list(plain.measured) == ["purchase"]
    assert configured.measured == plain.measured
    assert (configured.information.value_minor, configured.information.measured) == (500, False)
    assert (configured.knowledge.value_minor, plain.knowledge.value_minor) == (0, None)
    for source in (plain.word_of_mouth, plain.information, plain.knowledge):
        assert not source.measured
        assert source.value_minor is None
        assert source.text


def test_before_the_first_purchase_nothing_is_measured() -> None:
    nothing = of(State(registered_at=micros(NOW)), None)
    assert nothing.purchase is None
    assert nothing.measured == {}


def test_referrals_are_worth_a_new_customer_each() -> None:
    one, three = word_of_mouth(1, SERVED), word_of_mouth(3, SERVED)
    newcomer = of(bought(0), None).purchase
    assert newcomer is not None
    assert one.value_minor == newcomer.value_minor
    assert three.value_minor == pytest.approx(3 * newcomer.value_minor, abs=3)
    assert three.measured
    assert not word_of_mouth(None, SERVED).measured


def test_a_comparison_is_stored_and_read_back_as_it_was(comparison: Comparison) -> None:
    stored = msgspec.json.encode(comparison.backtest)
    assert msgspec.json.decode(stored, type=Backtest) == comparison.backtest


def test_a_comparison_is_due_when_another_model_is_served_or_the_last_one_is_old(
    comparison: Comparison,
) -> None:
    same, later, earlier = (replace(PUBLISHED, version=version) for version in (2, 3, 1))
    assert is_due(None, PUBLISHED, 24, NOW)
    assert not is_due(comparison, same, 24, NOW + timedelta(hours=23))
    assert is_due(comparison, same, 24, NOW + timedelta(hours=24))
    assert is_due(comparison, later, 24, NOW)
    assert is_due(comparison, earlier, 24, NOW)


def test_without_purchases_there_is_nothing_to_compare() -> None:
    with pytest.raises(Conflict, match="nothing to compare"):
        compare(
            Purchases.of(np.empty(0, dtype=np.int64), [], []), version=1, model_version=0, one_in=1, at=NOW
        )


@pytest.mark.parametrize("amount", [0, 1, 10**15])
@pytest.mark.parametrize("days", [(0,), (0, 0), (40_000, 1), tuple(range(900)), (-1,)])
def test_extreme_customers_have_finite_values(
    comparison: Comparison, days: tuple[int, ...], amount: int
) -> None:
    state = bought(*days, amount=amount)
    if len(set(days)) == 1:  # several purchases on one day are one
        state = State(
            purchases=len(days),
            days=1,
            spent_minor=len(days) * amount,
            first_at=state.first_at,
            last_at=state.last_at,
        )
    found = of(state, comparison).purchase
    assert found is not None
    for method in found.methods:
        if method.method == "curve" and found.segment == "once_recent":
            assert method.value_minor is None  # of whom the sample, in its second year, has none
        else:
            assert method.value_minor is not None
            assert 0 <= method.value_minor <= 2**62
