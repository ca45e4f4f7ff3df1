"""What reports draw: expected counts that add up, against simulation and the published tables of CDNOW."""

from datetime import date, timedelta

import numpy as np
import pytest

from scoring.models import forecast
from scoring.models.backtest import Complaints, Cut, Purchases, cut
from scoring.models.complaint_effect import NO_EFFECT, Gamma
from scoring.models.diagnostics import MOST, conditional, frequencies, gains, tracking
from scoring.models.forecast import WITH_COMPLAINTS, Forecaster
from scoring.models.pareto_nbd import Params
from scoring.models.rfm import Summary
from scoring.models.score import Customers
from tests.unit.scoring.models.worlds import BEGIN, pareto_nbd_world

TRUTH = Params(0.9, 6.0, 1.2, 40.0)
ORIGIN, END = BEGIN + timedelta(weeks=39), BEGIN + timedelta(weeks=78)


@pytest.fixture(scope="module")
def world() -> Purchases:
    return pareto_nbd_world(5000, 1, joining=4)


@pytest.fixture(scope="module")
def past(world: Purchases) -> Cut:
    dice = np.random.default_rng(2)
    who = dice.choice(5000, 1000)
    opened = np.datetime64(BEGIN, "s") + dice.integers(0, 38 * 7 * 86_400, 1000)
    resolved = opened + 7 * 86_400
    resolved[::3] = np.datetime64("NaT")
    outcome = np.where(np.isnat(resolved), 0, 1)
    return cut(world, Complaints(who, opened, resolved, outcome, np.ones(1000)), ORIGIN, END)


def test_purchases_over_time_are_tracked_where_the_model_is_true(world: Purchases, past: Cut) -> None:
    found = tracking(Forecaster("pareto-nbd", TRUTH), past, world)
    assert len(found.actual) == 78
    assert found.origin == pytest.approx(39 + 1 / 7)
    assert found.actual.sum() == pytest.approx(found.expected.sum(), rel=0.05)
    later = slice(10, None)
    assert np.corrcoef(found.actual[later], found.expected[later])[0, 1] > 0.9


def test_repeat_purchases_are_spread_as_expected_where_the_model_is_true(past: Cut) -> None:
    actual, expected = frequencies(Forecaster("pareto-nbd", TRUTH), past.customers)
    assert actual.sum() == 5000
    assert expected.sum() == pytest.approx(5000, rel=1e-12)
    assert np.abs(actual - expected).max() < 4 * np.sqrt(actual.max())


def test_the_published_expected_frequencies_of_cdnow_are_found(cdnow: Summary) -> None:
    """BG/NBD expects 1,407 customers without a repeat purchase, the actual number being 1,411."""
    rows = cdnow.rows
    customers = Customers.of(rows.x, rows.t_x, rows.T)
    actual, expected = frequencies(forecast.fit("bg-nbd", customers).forecaster, customers)
    assert actual[0] == 1411
    assert expected[0] == pytest.approx(1407, abs=1.5)


def test_complaints_without_effect_change_no_picture(world: Purchases, past: Cut) -> None:
    plain, with_complaints = Forecaster("pareto-nbd", TRUTH), Forecaster(WITH_COMPLAINTS, TRUTH, NO_EFFECT)
    assert past.customers.schedules.customer.size > 500
    for one, other in zip(
        frequencies(plain, past.customers), frequencies(with_complaints, past.customers), strict=True
    ):
        assert other == pytest.approx(one, rel=1e-9)
    same = tracking(with_complaints, past, world).expected
    assert same == pytest.approx(tracking(plain, past, world).expected, rel=1e-9)


def test_complaints_that_drive_away_lower_what_is_expected(world: Purchases, past: Cut) -> None:
    plain = tracking(Forecaster(WITH_COMPLAINTS, TRUTH, NO_EFFECT), past, world).expected
    harmed = tracking(Forecaster(WITH_COMPLAINTS, TRUTH, Gamma(1.5, 2.0, 0.3)), past, world).expected
    assert (harmed[20:] < plain[20:]).all()
    rare, expected = frequencies(Forecaster(WITH_COMPLAINTS, TRUTH, Gamma(1.5, 2.0, 0.3)), past.customers)
    assert expected[0] > frequencies(Forecaster("pareto-nbd", TRUTH), past.customers)[1][0]
    assert rare.sum() == expected.sum()


def test_purchases_afterwards_are_grouped_by_those_before() -> None:
    purchases = Purchases(
        np.array([0, 0, 1, 1, 1, 2]),
        np.array(
            ["2024-01-01", "2024-03-01", "2024-01-01", "2024-01-08", "2024-03-08", "2024-01-05"], "M8[D]"
        ),
    )
    found = conditional(cut(purchases, None, date(2024, 2, 1), date(2024, 6, 1)), np.array([0.5, 2.0, 0.1]))
    assert found.customers.tolist() == [2, 1] + [0] * (MOST - 1)
    assert found.actual[:2].tolist() == [0.5, 1.0]
    assert found.expected[:2] == pytest.approx([0.3, 2.0])
    assert np.isnan(found.actual[2:]).all()


def test_gains_are_shares_by_tenths_of_the_ranking() -> None:
    bought = np.arange(100.0)
    shares = gains(bought, bought)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(sum(range(90, 100)) / sum(range(100)))
    assert (np.diff(shares) < 0).all()
    assert gains(bought, np.zeros(100)).size == 0
