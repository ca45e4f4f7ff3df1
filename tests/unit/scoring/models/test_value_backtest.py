from datetime import date

import numpy as np
import pytest

from scoring.models.dwyer import RECENCIES, migration_value, retention_value
from scoring.models.value_backtest import Backtest, backtest
from scoring.models.value_history import Purchases
from scoring.models.value_methods import METHODS, SEGMENTS, Ahead, foretell, segment_of
from stack import cdnow as sample

LAST_DAY = date(1998, 6, 30).toordinal()


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    """The CDNOW sample, 78 weeks of 2,357 customers."""
    rows = sample.purchases()
    days = np.array([row.day.toordinal() for row in rows])
    return Purchases.of([int(row.customer) - 1 for row in rows], days / 7, [row.cents for row in rows])


@pytest.fixture(scope="module")
def tested(purchases: Purchases) -> Backtest:
    """The methods' contest on it."""
    return backtest(purchases, LAST_DAY / 7)


def test_the_sample_s_last_third_is_foretold_of_everybody(tested: Backtest) -> None:
    assert tested.too_little is None
    assert tested.holdout == pytest.approx(545 / 7 / 3)
    assert tested.origin == pytest.approx(LAST_DAY / 7 - 545 / 21)
    assert tested.customers == sum(contest.customers for contest in tested.contests) == 2357
    assert {contest.segment for contest in tested.contests} <= set(SEGMENTS)


def test_in_each_segment_the_least_error_wins(tested: Backtest) -> None:
    for contest in tested.contests:
        assert set(contest.errors) == set(METHODS)
        assert contest.decided
        assert contest.errors[contest.winner].rmse == min(error.rmse for error in contest.errors.values())


def test_the_winners_are_better_than_foretelling_that_nobody_buys(
    purchases: Purchases, tested: Backtest
) -> None:
    assert tested.origin is not None
    assert tested.learnt is not None
    past = purchases.until(tested.origin)
    standing = past.standing(tested.origin)
    actual = purchases.spent_between(tested.origin, tested.until)[standing.who]
    won = foretold = 0.0
    for contest in tested.contests:
        error = contest.errors[contest.winner]
        won += contest.customers * error.rmse**2
        foretold += contest.customers * (contest.actual + error.bias)
    assert won < 0.8 * float(actual @ actual)
    assert foretold == pytest.approx(actual.sum(), rel=0.15)


def test_every_method_values_every_customer_now(purchases: Purchases, tested: Backtest) -> None:
    assert tested.learnt is not None
    standing = purchases.standing(LAST_DAY / 7)
    near = foretell(tested.learnt, standing, Ahead(13.0))
    far = foretell(tested.learnt, standing, Ahead(156.0))
    discounted = foretell(tested.learnt, standing, Ahead(156.0, 0.002))
    for method, value in far.items():
        assert np.isfinite(value).all()
        assert (value >= near[method] - 1e-9).all()
        assert (value >= discounted[method] - 1e-9).all()
        assert (near[method] >= 0).all()


def test_dwyer_s_methods_foretell_by_their_formulas(purchases: Purchases, tested: Backtest) -> None:
    learnt = tested.learnt
    assert learnt is not None
    standing = purchases.standing(LAST_DAY / 7)
    periods, discount = 6, 0.01
    value = foretell(learnt, standing, Ahead(periods * learnt.period, 1.01 ** (1 / learnt.period) - 1))
    silence = (standing.T - standing.t_x) / learnt.period
    for row in range(0, 2357, 101):
        f = standing.frequency[row]
        rate, spend = learnt.retention.rates[f], learnt.retention.spend[f]
        kept = retention_value(1, [rate] * periods, [0] + [spend] * periods, discount)
        lost = np.floor(silence[row]) > learnt.retention.patience
        assert value["retention"][row] == pytest.approx(0 if lost else kept)
    matrix, rewards = learnt.migration.matrix(), learnt.migration.rewards()
    for_ever = foretell(learnt, standing, Ahead(2000 * learnt.period, 1.01 ** (1 / learnt.period) - 1))
    state = standing.frequency * RECENCIES + np.minimum(np.floor(silence), RECENCIES - 1).astype(int)
    without_end = (migration_value(matrix, rewards, discount) - rewards)[state]
    assert for_ever["migration"] == pytest.approx(without_end, rel=1e-6)


def regulars(customers: int = 400, weeks: int = 120) -> Purchases:
    """Customers who buy for the same amount at intervals of their own, like clockwork."""
    dice = np.random.default_rng(8)
    gap, phase, amount = (
        dice.uniform(3, 9, customers),
        dice.uniform(0, 3, customers),
        dice.uniform(9, 99, customers),
    )
    times = [np.arange(phase[i], weeks, gap[i]) for i in range(customers)]
    who = np.repeat(np.arange(customers), [len(t) for t in times])
    return Purchases.of(who, np.concatenate(times), amount[who])


def test_of_customers_like_clockwork_their_own_events_foretell_best() -> None:
    tested = backtest(regulars(), 120.0)
    (contest,) = tested.contests
    assert (contest.segment, contest.winner) == ("often_recent", "customer_events")
    assert abs(contest.errors["customer_events"].bias) < 0.05 * contest.actual


def random_buyers(customers: int, seed: int = 2) -> Purchases:
    """The world of the probabilistic model: they come over two years, buy at random, and leave."""
    dice = np.random.default_rng(seed)
    rate, start = dice.gamma(0.9, 1 / 6, customers), dice.uniform(0, 100, customers)
    end = np.minimum(start + dice.exponential(1 / dice.gamma(1.2, 1 / 40, customers)), 156)
    count = dice.poisson(rate * (end - start))
    again = dice.uniform(np.repeat(start, count), np.repeat(end, count))
    mean = 1 / dice.gamma(4, 1 / 120, customers)
    who = np.concatenate([np.arange(customers), np.repeat(np.arange(customers), count)])
    return Purchases.of(who, np.concatenate([start, again]), dice.gamma(5, 1 / 5, len(who)) * mean[who])


def test_in_its_own_world_the_probabilistic_model_wins_wherever_it_knows_what_somebody_spends() -> None:
    tested = backtest(random_buyers(20_000), 156.0)
    assert len(tested.contests) == len(SEGMENTS)
    for contest in tested.contests:
        if not contest.segment.startswith("once"):  # it leaves out the first amount, which others use
            assert (contest.winner, contest.decided) == ("probabilistic", True)
            assert abs(contest.errors["probabilistic"].bias) < 0.1 * contest.actual


def test_a_segment_too_small_to_tell_is_left_to_the_probabilistic_model() -> None:
    tested = backtest(random_buyers(500, seed=3), 156.0)
    small = [contest for contest in tested.contests if contest.customers < 50]
    assert small
    assert all(not contest.decided and contest.winner == "probabilistic" for contest in small)


@pytest.mark.parametrize(
    ("found", "until", "missing"),
    [
        (Purchases.of(np.empty(0, dtype=np.int64), [], []), 100.0, "26 weeks of purchases, and there are 0"),
        (random_buyers(5000).until(12.0), 12.0, "26 weeks of purchases"),
        (random_buyers(20), 156.0, "100 customers who had bought before"),
        (
            Purchases.of(np.arange(300), np.arange(300) / 10, np.ones(300)),
            60.0,
            "50 customers who had bought again",
        ),
    ],
)
def test_too_little_history_makes_no_contest_and_says_what_is_missing(
    found: Purchases, until: float, missing: str
) -> None:
    tested = backtest(found, until)
    assert (tested.contests, tested.learnt, tested.origin) == ((), None, None)
    assert missing in str(tested.too_little)


def test_what_comes_after_the_moment_is_not_looked_at(purchases: Purchases) -> None:
    early = date(1998, 3, 1).toordinal() / 7
    assert backtest(purchases, early) == backtest(purchases.until(early), early)


def test_where_all_buy_nothing_more_every_method_says_so_about() -> None:
    dice = np.random.default_rng(1)
    who = np.repeat(np.arange(300), 4)
    tested = backtest(Purchases.of(who, dice.uniform(0, 30, 1200), np.full(1200, 10.0)), 300.0)
    for contest in tested.contests:
        assert (contest.actual, contest.buyers, contest.winner) == (0, 0, "probabilistic")
        assert not contest.decided
        assert all(error.rmse < 5 for error in contest.errors.values())


def test_segments_are_of_frequency_and_of_recency() -> None:
    purchases = Purchases.of([0, 1, 1, 2, 2, 2, 2], [1.0, 2, 50, 1, 2, 3, 4], np.ones(7))
    names = [SEGMENTS[s] for s in segment_of(purchases.standing(52.0), 10.0)]
    assert names == ["once_silent", "few_recent", "often_silent"]


def test_a_period_that_is_cut_off_counts_for_its_part() -> None:
    worth = Ahead(25.0, 0.01).worth(10.0)
    assert worth == pytest.approx([1.01**-10, 1.01**-20, 0.5 * 1.01**-30])
