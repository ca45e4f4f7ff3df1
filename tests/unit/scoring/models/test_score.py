from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.models import gamma_gamma, pareto_nbd, reasons, score
from scoring.models.calibration import IDENTITY, Calibrator
from scoring.models.clv import WEEKS_PER_MONTH, Terms, clv
from scoring.models.complaint_clock import Clock
from scoring.models.complaint_effect import Gamma
from scoring.models.complaints import Complaint, Outcome, Schedules
from scoring.models.crossing import FAR, SECOND, crossing
from scoring.models.rfm import Summary
from scoring.models.score import Customers, Model

MODEL = Model()
SIGNS = Gamma(1.0, 1.5, -0.4, 0.8, 40.0, 0.1, 3.0, 1.5, closing_rate=0.2)
OUTCOMES: list[Outcome] = ["recovered", "mishandled"]


def some_customers(seed: int = 0, n: int = 300) -> Customers:
    """Every third has a complaint: open, badly or well resolved."""
    rng = np.random.default_rng(seed)
    T = rng.uniform(1, 100, n)
    x = rng.poisson(2, n).astype(np.float64)
    t_x = np.where(x > 0, T * rng.uniform(size=n) ** (1 / (x + 1)), 0)
    complaints = {}
    for row in range(0, n, 3):
        opened = float(T[row] * rng.uniform(0.5, 1))
        resolved = None if rng.random() < 0.3 else opened + 1
        outcome = OUTCOMES[rng.integers(2)] if resolved is not None else None
        complaints[row] = [Complaint(opened, resolved, outcome)]
    return Customers.of(x, t_x, T, rng.gamma(3, 10, n), Schedules.of(complaints))


def test_one_and_many_are_scored_alike() -> None:
    customers = some_customers()
    together = score.score(customers, MODEL, 13)
    for row in (0, 1, 3, 299):
        alone = score.score(customers.take(np.array([row])), MODEL, 13)
        for name in ("p_alive", "churn", "expected_purchases", "clv"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[row], rel=1e-12)


def test_scores_are_those_of_the_models(cdnow: Summary) -> None:
    rows = cdnow.rows
    found = score.score(Customers.of(rows.x, rows.t_x, rows.T, cdnow.mean_amount), MODEL, 13)
    p = MODEL.purchase
    np.testing.assert_allclose(found.p_alive, pareto_nbd.p_alive(p, rows.x, rows.t_x, rows.T))
    np.testing.assert_allclose(found.churn, pareto_nbd.churn(p, rows.x, rows.t_x, rows.T, 13))
    np.testing.assert_allclose(
        found.expected_purchases, pareto_nbd.expected_purchases(p, rows.x, rows.t_x, rows.T, 13)
    )


def test_lifetime_value_is_the_discounted_sum_of_the_formula() -> None:
    x, t_x, T, mean = 3.0, 20.0, 40.0, 30.0
    terms = Terms(margin=0.25, yearly_discount=0.12, months=24)
    d = terms.monthly_discount
    assert (1 + d) ** 12 == pytest.approx(1.12)
    until = [
        pareto_nbd.expected_purchases(MODEL.purchase, x, t_x, T, k * WEEKS_PER_MONTH)[0] for k in range(25)
    ]
    total = sum((until[k] - until[k - 1]) / (1 + d) ** k for k in range(1, 25))
    expected = 0.25 * gamma_gamma.expected_amount(MODEL.spend, x, mean)[0] * total
    found = score.score(Customers.of(x, t_x, T, mean), Model(terms=terms), 13).clv[0]
    assert found == pytest.approx(expected, rel=1e-12)
    none = Clock.of(Schedules.none(), MODEL.gamma)
    alone = clv(MODEL.purchase, none, MODEL.spend, terms, x, t_x, T, mean)[0]
    assert alone == pytest.approx(expected, rel=1e-12)


def test_a_complaint_lowers_lifetime_value() -> None:
    open_ = Schedules.of({0: [Complaint(39)]})
    without, with_ = Customers.of(3, 38, 40, 30), Customers.of(3, 38, 40, 30, open_)
    assert score.score(with_, MODEL, 13).clv[0] < score.score(without, MODEL, 13).clv[0]


def test_nobody_is_scored_without_a_fuss() -> None:
    assert score.score(Customers.of([], [], []), MODEL, 13).churn.size == 0
    assert crossing(Customers.of([], [], []), MODEL, 13, 0.5).size == 0


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    horizon=st.floats(1, 52),
    calibrator=st.sampled_from([IDENTITY, Calibrator(-0.4, 0.7)]),
    gamma=st.sampled_from([MODEL.gamma, SIGNS]),
)
def test_reasons_add_up_to_the_log_odds_of_churn(
    seed: int, horizon: float, calibrator: Calibrator, gamma: Gamma
) -> None:
    customers, model = some_customers(seed, 12), replace(MODEL, calibrator=calibrator, gamma=gamma)
    found = reasons.contributions(customers, model, horizon)
    churn = score.churn(customers, model, horizon)
    for row in range(12):
        total = sum(reason.contribution for reason in found.of(row))
        assert total == pytest.approx(found.log_odds[row], abs=1e-9)
        assert 1 / (1 + np.exp(-total)) == pytest.approx(churn[row], abs=1e-9)
    assert set(found.factors) == set(reasons.CODES)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    weeks=st.floats(1e-3, 500),
    calibrator=st.builds(Calibrator, st.floats(-2, 2), st.floats(0.3, 3), st.just(13.0)),
)
def test_calibration_keeps_the_models_say_of_when_those_buy_who_do(
    seed: int, weeks: float, calibrator: Calibrator
) -> None:
    customers, model = some_customers(seed, 12), replace(MODEL, calibrator=calibrator)
    raw, raw_there = (score.churn(customers, MODEL, horizon) for horizon in (weeks, 13))
    churn, there = (score.churn(customers, model, horizon) for horizon in (weeks, 13))
    plain = score.log_odds_churn(customers, MODEL, 13)
    np.testing.assert_allclose(there, 1 / (1 + np.exp(-calibrator.calibrate(plain))), rtol=1e-12)
    if weeks < 13:
        np.testing.assert_allclose(
            1 - churn, (1 - there) * (1 - raw) / (1 - raw_there), rtol=1e-6, atol=1e-12
        )
    else:
        np.testing.assert_allclose(churn, there * raw / raw_there, rtol=1e-9)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_calibrated_churn_falls_as_the_horizon_grows(seed: int) -> None:
    customers = some_customers(seed, 12)
    model = replace(MODEL, calibrator=Calibrator(0.2, 0.8, horizon=13))
    horizons = [1e-6, 0.1, 1, 12.999, 13, 13.001, 50, 1e4]
    churn = np.array([score.churn(customers, model, horizon) for horizon in horizons])
    assert (np.diff(churn, axis=0) <= 1e-12).all()
    assert (churn[0] > 1 - 1e-4).all()
    np.testing.assert_allclose(churn[3], churn[5], atol=1e-3)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), model=st.sampled_from([MODEL, replace(MODEL, gamma=SIGNS)]))
def test_factors_are_neutralised_one_after_another(seed: int, model: Model) -> None:
    customers = some_customers(seed, 9)
    found = reasons.contributions(customers, model, 13)
    left = score.log_odds_churn(customers, model, 13)
    np.testing.assert_allclose(found.log_odds, left, atol=1e-9)
    np.testing.assert_allclose(found.odds.churn, score.churn(customers, model, 13), atol=1e-12)
    for code, phase in reasons.COMPLAINTS.items():
        customers = replace(customers, schedules=customers.schedules.without(phase))
        after = score.log_odds_churn(customers, model, 13)
        np.testing.assert_allclose(found.factors[code], left - after, atol=1e-9)
        left = after
    customers = replace(customers, schedules=Schedules.none())
    after = score.log_odds_churn(customers, model, 13)
    np.testing.assert_allclose(found.factors[reasons.VOICED], left - after, atol=1e-9)
    left = after
    heard = score.log_odds_churn(replace(customers, t_x=customers.T), model, 13)
    np.testing.assert_allclose(found.factors["silence"], left - heard, atol=1e-9)


def test_a_reason_names_a_kind_of_loss_only_where_something_tells() -> None:
    def kind(code: str, contribution: float = 0.5) -> str | None:
        return reasons.Reason(code, contribution).kind

    assert kind("complaint_open") == kind("complaint_recovered") == "fault"
    assert kind("complaint_mishandled") == "retaliatory"
    assert kind("silence") == kind("rhythm") == "unexplained"
    assert kind("base") == kind("base", -0.5) == "unexplained"
    assert all(kind(code, -0.5) is None for code in reasons.CODES if code != "base")


def test_an_open_complaint_weighs_its_difference_to_none() -> None:
    with_ = Customers.of(3, 38, 40, 30, Schedules.of({0: [Complaint(39)]}))
    found = reasons.contributions(with_, MODEL, 13)
    without = score.log_odds_churn(Customers.of(3, 38, 40, 30), MODEL, 13)
    assert found.factors["complaint_open"][0] == pytest.approx((found.log_odds - without)[0], abs=1e-12)
    assert found.factors["complaint_open"][0] > 0.2
    assert found.of(0)[-1].code == "base"


def test_silence_counts_against_and_frequency_for_a_customer() -> None:
    silent = reasons.contributions(Customers.of(10, 30, 80), MODEL, 13).factors
    regular = reasons.contributions(Customers.of(30, 79, 80), MODEL, 13).factors
    assert silent["silence"][0] > 1
    assert regular["rhythm"][0] < -1
    assert all((factors["complaint_open"] == 0).all() for factors in (silent, regular))


@pytest.mark.parametrize("threshold", [0.35, 0.6, 0.9])
def test_a_crossing_is_right_to_the_second(threshold: float) -> None:
    customers = some_customers(5)
    when = crossing(customers, MODEL, 13, threshold)
    now = score.churn(customers, MODEL, 13)
    np.testing.assert_array_equal(when == 0, now >= threshold)
    rows = np.flatnonzero((when > 0) & np.isfinite(when))
    assert len(rows) > 10
    some = customers.take(rows)
    just_before = score.churn(replace(some, T=some.T + when[rows] - SECOND), MODEL, 13)
    just_after = score.churn(replace(some, T=some.T + when[rows] + SECOND), MODEL, 13)
    assert (just_before < threshold).all()
    assert (just_after > threshold).all()
    for part in np.linspace(0, 1, 50, endpoint=False):  # and it is the first
        earlier = score.churn(replace(some, T=some.T + part * when[rows]), MODEL, 13)
        assert (earlier < threshold).all()


def test_each_customer_may_have_their_own_threshold() -> None:
    customers = Customers.of([5, 5], [40, 40], [41, 41])
    soon, late = crossing(customers, MODEL, 13, [0.4, 0.8])
    assert 0 < soon < late


def test_a_threshold_not_reached_within_ten_years_is_never_crossed() -> None:
    faithful = Model(purchase=pareto_nbd.Params(5, 250, 0.01, 5000))
    assert crossing(Customers.of(0, 0, 1), faithful, 13, 0.999)[0] == np.inf
    assert pytest.approx(521.8, abs=0.1) == FAR
    with pytest.raises(ValueError, match="between 0 and 1"):
        crossing(Customers.of(0, 0, 1), MODEL, 13, 1.0)
