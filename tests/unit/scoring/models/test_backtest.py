"""Backtests: what was known at an origin, what is measured after it, and the targets of the CDNOW sample."""

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from scoring.models import forecast
from scoring.models.backtest import Complaints, Cut, Purchases, cut, evaluate, learn, like_origin
from scoring.models.calibration import NOT_CALIBRATED
from scoring.models.complaint_effect import PRIOR_GAMMA
from scoring.models.complaints import Complaint, Schedules
from scoring.models.fit import logs
from scoring.models.score import Customers
from tests.unit.scoring.models.worlds import BEGIN, pareto_nbd_world

FILE = Path(__file__).parents[4] / "deploy/local/data/cdnow_sample.csv"
FAR = date(2099, 1, 1)
END, UNTIL = date(1997, 9, 30), date(1998, 6, 30)
NaT = np.datetime64("NaT")


def bought(*rows: tuple[int, str]) -> Purchases:
    return Purchases(np.array([who for who, _ in rows]), np.array([day for _, day in rows], "datetime64[D]"))


def complained(*rows: tuple[int, str, str, int]) -> Complaints:
    return Complaints(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows], "datetime64[s]"),
        np.array([row[2] for row in rows], "datetime64[s]"),
        np.array([row[3] for row in rows]),
        np.ones(len(rows)),
    )


@pytest.fixture(scope="module")
def cdnow_purchases() -> Purchases:
    with FILE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    _, who = np.unique([row["customer"] for row in rows], return_inverse=True)
    return Purchases(who, np.array([row["date"] for row in rows], "datetime64[D]"))


@pytest.fixture(scope="module")
def holdout(cdnow_purchases: Purchases) -> Cut:
    return cut(cdnow_purchases, None, END, UNTIL)


def test_the_origin_is_known_and_the_horizon_begins_the_day_after() -> None:
    found = cut(
        bought((7, "2024-01-01"), (7, "2024-01-15"), (7, "2024-01-16"), (7, "2024-01-16"), (7, "2024-02-01"),
               (3, "2024-01-08"), (9, "2024-01-20")),
        None, date(2024, 1, 15), date(2024, 1, 31),
    )  # fmt: skip
    assert found.customer.tolist() == [3, 7]
    assert found.customers.x.tolist() == [0, 1]
    assert found.customers.t_x.tolist() == [0, 2]
    assert found.customers.T.tolist() == [1, 2]
    assert found.bought.tolist() == [0, 1]
    assert found.churned.tolist() == [True, False]
    assert found.horizon == pytest.approx(16 / 7)
    assert found.first.tolist() == [date(2024, 1, 8), date(2024, 1, 1)]


def test_a_complaint_is_known_from_its_opening_and_its_resolution_from_then() -> None:
    purchases = bought((0, "2024-01-01"), (1, "2024-01-01"), (2, "2024-06-01"))
    complaints = complained(
        (0, "2024-01-08", "2024-01-15", 2),
        (0, "2024-01-22", "2024-03-01", 1),
        (1, "2024-02-01", "NaT", 0),
        (2, "2024-01-08", "NaT", 0),
    )
    early = cut(purchases, complaints, date(2024, 1, 31), date(2024, 12, 31))
    assert early.complaints == 2
    expected = Schedules.of({0: [Complaint(1, 2, "recovered"), Complaint(3)]})
    assert early.customers.schedules.customer.tolist() == [0]
    assert np.allclose(early.customers.schedules.start, expected.start)
    assert np.array_equal(early.customers.schedules.z, expected.z)
    assert cut(purchases, complaints, date(2024, 2, 1), date(2024, 12, 31)).complaints == 3


def test_before_anybody_bought_nobody_is_known() -> None:
    empty = cut(bought((0, "2024-03-01")), None, date(2024, 2, 1), date(2024, 4, 1))
    assert empty.bought.size == 0
    assert learn("pareto-nbd", empty) == NOT_CALIBRATED
    with pytest.raises(ValueError, match="nobody had bought"):
        evaluate("pareto-nbd", empty, NOT_CALIBRATED)


def test_an_end_before_the_origin_is_refused() -> None:
    with pytest.raises(ValueError, match="not after the origin"):
        cut(bought((0, "2024-03-01")), None, END, END)


def test_the_earlier_origin_looks_as_far_ahead_against_its_past_as_the_later() -> None:
    found = like_origin(date(2024, 1, 1), date(2024, 1, 1) + timedelta(days=300), date(2025, 10, 17))
    assert (found - date(2024, 1, 1)).days == 300**2 // 655
    assert like_origin(BEGIN, BEGIN, BEGIN + timedelta(days=5)) == BEGIN


@pytest.mark.parametrize(
    ("kind", "rmse", "mae", "discrimination"),
    [("pareto-nbd", 1.605, 0.756, 0.77), ("bg-nbd", 1.610, 0.79, 0.75), ("mbg-nbd", 1.610, 0.77, 0.755)],
)
def test_cdnow_is_forecast_as_well_as_it_can_be(
    holdout: Cut, kind: str, rmse: float, mae: float, discrimination: float
) -> None:
    found = evaluate(kind, holdout, NOT_CALIBRATED)
    assert found.raw.rmse <= rmse
    assert found.raw.mae <= mae
    assert found.raw.auc is not None
    assert found.raw.auc >= discrimination
    assert found.calibrated == found.raw


@pytest.mark.parametrize("asked", ["1997-04-20", "1997-05-20", "1997-06-30", "1997-07-31"])
def test_cdnow_calibrated_at_an_earlier_origin_is_right_about_churn(
    cdnow_purchases: Purchases, holdout: Cut, asked: str
) -> None:
    origin = min(date.fromisoformat(asked), like_origin(date(1997, 1, 1), END, UNTIL))
    past = cut(cdnow_purchases, None, origin, END)
    found = evaluate("pareto-nbd", holdout, learn("pareto-nbd", past))
    assert found.calibrated.bias is not None
    assert abs(found.calibrated.bias) <= 0.05
    assert found.calibrated.ece <= 0.03
    assert found.calibrated.brier < found.raw.brier
    assert found.calibrated.auc == pytest.approx(found.raw.auc, abs=1e-12)


def test_in_a_world_like_the_model_calibration_does_little_harm() -> None:
    """There is nothing to correct; learning from one earlier origin could only add its chance errors."""
    worse = []
    for seed in range(3):
        purchases = pareto_nbd_world(1500, seed)
        now = cut(purchases, None, BEGIN + timedelta(weeks=39), BEGIN + timedelta(weeks=65))
        past = cut(purchases, None, like_origin(BEGIN, now.origin, now.end), now.origin)
        found = evaluate("pareto-nbd", now, learn("pareto-nbd", past))
        assert found.raw.ece < 0.045
        worse.append(found.calibrated.brier - found.raw.brier)
    assert np.mean(worse) < 0.0005


def test_in_a_world_of_regular_buyers_calibration_helps() -> None:
    better = []
    for seed in range(2):
        purchases = pareto_nbd_world(1500, seed, regular=3)
        now = cut(purchases, None, BEGIN + timedelta(weeks=39), BEGIN + timedelta(weeks=65))
        past = cut(purchases, None, like_origin(BEGIN, now.origin, now.end), now.origin)
        found = evaluate("pareto-nbd", now, learn("pareto-nbd", past))
        better.append(found.raw.brier - found.calibrated.brier)
        assert found.calibrated.ece < found.raw.ece
    assert np.mean(better) > 0.0015


def test_plausible_parameters_have_the_mean_and_covariance_of_the_fit() -> None:
    purchases = pareto_nbd_world(400, 3)
    fitted = forecast.fit("pareto-nbd", cut(purchases, None, BEGIN + timedelta(weeks=52), FAR).customers)
    as_fitted, *others = fitted.plausible()
    points = np.array([logs(other.params) for other in others])
    assert as_fitted == fitted.forecaster
    assert np.allclose(points.mean(axis=0), logs(as_fitted.params))
    assert np.allclose(np.cov(points.T, bias=True), fitted.covariance)
    errors = np.array([*fitted.fit.standard_errors.values()])
    assert points.std(axis=0) * np.exp(logs(as_fitted.params)) == pytest.approx(errors, rel=1e-3)


def test_few_customers_have_wide_intervals() -> None:
    widths = []
    for customers in (20, 2000, 9000):
        purchases = pareto_nbd_world(customers, 5)
        now = cut(purchases, None, BEGIN + timedelta(weeks=30), BEGIN + timedelta(weeks=60))
        found = evaluate("pareto-nbd", now, NOT_CALIBRATED)
        low, high = found.churn_interval
        assert low < found.churn.mean() < high, "also where only a sample of the customers is looked at"
        assert found.purchases_interval[0] < found.purchases.mean() < found.purchases_interval[1]
        assert found.fitted.fit.prior_driven == (customers == 20)
        widths.append(high - low)
    assert widths[0] > 4 * widths[1]
    assert widths[1] > widths[2]


@pytest.mark.parametrize("kind", forecast.KINDS)
@pytest.mark.parametrize("world", ["one", "once", "gone", "loyal"])
def test_absurd_populations_give_finite_figures(kind: str, world: str) -> None:
    days = {"one": [0], "once": [0], "gone": [0, 7, 21], "loyal": list(range(0, 364, 7))}[world]
    many = 1 if world == "one" else 60
    rows = [(who, str(BEGIN + timedelta(days=who % 7 + day))) for who in range(many) for day in days]
    purchases = bought(*rows)
    past = cut(purchases, None, BEGIN + timedelta(days=90), BEGIN + timedelta(days=180))
    now = cut(purchases, None, BEGIN + timedelta(days=180), BEGIN + timedelta(days=360))
    found = evaluate(kind, now, learn(kind, past))
    for metrics in (found.raw, found.calibrated):
        assert metrics.auc is None
        assert np.isfinite([metrics.rmse, metrics.mae, metrics.brier, metrics.ece]).all()
    assert np.isfinite([*found.churn_interval, *found.purchases_interval]).all()
    assert ((found.calibrated_churn >= 0) & (found.calibrated_churn <= 1)).all()


def test_complaints_that_matter_are_seen_only_by_the_model_that_knows_them() -> None:
    customers = Customers.of([2.0, 2.0], 10.0, 12.0, schedules=Schedules.of({1: [Complaint(11.0)]}))
    blind = forecast.fit("pareto-nbd", customers).forecaster.churn(customers, 13)
    seeing = forecast.fit(forecast.WITH_COMPLAINTS, customers, 1).forecaster
    assert blind[0] == blind[1]
    assert seeing.gamma == PRIOR_GAMMA
    churn = seeing.churn(customers, 13)
    assert churn[0] == pytest.approx(blind[0])
    assert churn[1] > churn[0]
