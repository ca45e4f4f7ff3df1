import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter

from scoring.models import bg_nbd, mbg_nbd
from scoring.models.arrays import Floats
from scoring.models.bg_nbd import Params
from scoring.models.fit import logs
from scoring.models.rfm import Rows, Summary

both = pytest.mark.parametrize("model", [bg_nbd, mbg_nbd], ids=["BG/NBD", "MBG/NBD"])
params = st.builds(
    Params, r=st.floats(0.05, 20), alpha=st.floats(0.05, 500), a=st.floats(0.05, 20), b=st.floats(0.05, 20)
)


def oracle(model: ModuleType, p: Params) -> Any:
    fitter = BetaGeoFitter() if model is bg_nbd else ModifiedBetaGeoFitter()
    fitter.params_ = {"r": p.r, "alpha": p.alpha, "a": p.a, "b": p.b}
    fitter._unload_params = lambda *_: [p.r, p.alpha, p.a, p.b]
    return fitter


def test_the_published_fit_of_bg_nbd_is_reproduced(cdnow: Summary) -> None:
    fitted = bg_nbd.fit(cdnow.rows, use_prior=False)
    p = fitted.params
    assert (p.r, p.alpha, p.a, p.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=6e-4)
    assert fitted.log_likelihood == pytest.approx(-9582.429, abs=5e-4)


def test_the_published_fit_of_mbg_nbd_is_reproduced(cdnow: Summary) -> None:
    fitted = mbg_nbd.fit(cdnow.rows, use_prior=False)
    p = fitted.params
    assert (p.r, p.alpha, p.a, p.b) == pytest.approx((0.525, 6.183, 0.891, 1.614), abs=6e-4)
    assert fitted.log_likelihood == pytest.approx(-9582.13, abs=0.01)


@both
def test_predictions_agree_with_lifetimes(model: ModuleType, cdnow: Summary) -> None:
    p, rows = model.PUBLISHED, cdnow.rows
    row = (rows.x, rows.t_x, rows.T)
    fitter = oracle(model, p)
    np.testing.assert_allclose(
        model.p_alive(p, *row), np.ravel(fitter.conditional_probability_alive(*row)), rtol=1e-9
    )
    np.testing.assert_allclose(
        model.expected_purchases(p, *row, 39),
        np.ravel(fitter.conditional_expected_number_of_purchases_up_to_time(39, *row)),
        rtol=1e-7,
    )


@both
@given(p=params, x=st.integers(0, 900), share=st.floats(0, 1), T=st.floats(1e-6, 1500), t=st.floats(0, 520))
def test_every_answer_is_finite_and_in_range_at_the_extremes(
    model: ModuleType, p: Params, x: int, share: float, T: float, t: float
) -> None:
    t_x = share * T if x else 0.0
    assert 0 <= model.p_alive(p, x, t_x, T)[0] <= 1
    assert 0 <= model.churn(p, x, t_x, T, t)[0] <= 1
    expected = model.expected_purchases(p, x, t_x, T, t)[0]
    assert 0 <= expected <= (p.r + x) / (p.alpha + T) * t * (1 + 1e-6) + 1e-9
    assert np.isfinite(model.log_likelihood(p, x, t_x, T)).all()


@both
def test_whole_parameters_and_many_purchases_do_not_overflow(model: ModuleType) -> None:
    p, near = Params(1, 0.5, 2, 1), Params(1 + 1e-7, 0.5, 2, 1)
    found = model.expected_purchases(p, 102, 0.1, 0.125, 6)
    np.testing.assert_allclose(found, model.expected_purchases(near, 102, 0.1, 0.125, 6), rtol=1e-5)
    assert np.isfinite(found).all()


@both
def test_expected_purchases_pass_smoothly_through_a_equal_to_one(model: ModuleType) -> None:
    below, at, above = (
        model.expected_purchases(Params(0.5, 10, a, 2.5), [0, 4], [0, 30], [40, 40], 20)
        for a in (1 - 1e-3, 1, 1 + 1e-3)
    )
    np.testing.assert_allclose(at, (below + above) / 2, rtol=1e-6)


@both
def test_the_gradient_is_the_slope_of_the_likelihood(model: ModuleType, cdnow: Summary) -> None:
    at = logs(Params(0.5, 9, 0.7, 2))
    value, gradient = model.log_likelihood_with_gradient(at, cdnow.rows)
    assert value == pytest.approx(
        model.log_likelihood(Params(0.5, 9, 0.7, 2), cdnow.rows.x, cdnow.rows.t_x, cdnow.rows.T).sum()
    )
    for j, move in enumerate(np.eye(4) * 1e-5):
        above, _ = model.log_likelihood_with_gradient(at + move, cdnow.rows)
        below, _ = model.log_likelihood_with_gradient(at - move, cdnow.rows)
        assert gradient[j] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-3)


def test_bg_nbd_takes_one_time_buyers_for_alive_for_ever_and_mbg_nbd_does_not() -> None:
    assert bg_nbd.p_alive(bg_nbd.PUBLISHED, 0, 0, 500)[0] == 1
    assert mbg_nbd.p_alive(mbg_nbd.PUBLISHED, 0, 0, 500)[0] < 0.2


@both
@pytest.mark.parametrize("use_prior", [True, False])
@pytest.mark.parametrize(
    "rows",
    [
        Rows.of([0.0], [0.0], [10.0]),
        Rows.of([3.0], [9.0], [10.0]),
        Rows.of(np.zeros(500), np.zeros(500), np.full(500, 30.0)),
        Rows.of([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),
        Rows.of([4000.0] * 5, [50.0] * 5, [50.0] * 5),
        Rows.of([], [], []),
    ],
    ids=["one buyer", "one regular", "all bought once", "no time passed", "no silence", "nobody"],
)
def test_a_fit_to_an_absurd_population_is_finite(model: ModuleType, rows: Rows, use_prior: bool) -> None:
    fitted = model.fit(rows, use_prior=use_prior)
    assert np.isfinite(model.p_alive(fitted.params, 2, 5, 20)).all()
    assert np.isfinite(model.expected_purchases(fitted.params, 2, 5, 20, 39)).all()
    assert np.isfinite(fitted.log_likelihood)
    assert fitted.prior_driven == use_prior


@both
def test_standard_errors_agree_with_lifetimes(model: ModuleType, cdnow: Summary) -> None:
    rows = cdnow.rows
    fitter = BetaGeoFitter() if model is bg_nbd else ModifiedBetaGeoFitter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own libraries
        fitter.fit(rows.x, rows.t_x, rows.T)
        expected = fitter.summary["se(coef)"]
    found = model.fit(rows, use_prior=False).standard_errors
    for name, error in found.items():
        assert error == pytest.approx(expected[name], rel=1e-3)


def simulated(
    p: Params, customers: int, T: Floats, ahead: float, first: bool, seed: int
) -> dict[str, Floats]:
    """Customers of BG/NBD with their truth; of MBG/NBD if the `first` purchase is a chance to stop too."""
    dice = np.random.default_rng(seed)
    rate, dropout = dice.gamma(p.r, 1 / p.alpha, customers), dice.beta(p.a, p.b, customers)
    x, t_x, bought, time = np.zeros(customers), np.zeros(customers), np.zeros(customers), np.zeros(customers)
    here = dice.random(customers) > dropout if first else np.ones(customers, dtype=np.bool_)
    alive_at_end = np.zeros(customers, dtype=np.bool_)
    while here.any():
        time += dice.exponential(1 / rate)
        before = here & (time < T)
        x += before
        t_x[before] = time[before]
        alive_at_end |= here & ~before
        after = here & ~before & (time < T + ahead)
        bought += after
        here = (before | after) & (dice.random(customers) > dropout)
    return {"x": x, "t_x": t_x, "bought": bought, "alive": alive_at_end.astype(np.float64)}


@both
@pytest.mark.parametrize("p", [Params(0.8, 6, 0.9, 2.0), Params(0.5, 3, 1, 1), Params(3, 20, 5, 60)])
def test_forecasts_come_true_among_simulated_customers(model: ModuleType, p: Params) -> None:
    """Also of the silent but living: P₀ = ((α+T)/(α+T+t))^{r+x}, as one drops out only after a purchase."""
    T = np.tile([5.0, 30.0, 60.0], 20_000)
    truth = simulated(p, len(T), T, 20, model is mbg_nbd, seed=11)
    x, t_x, alive, silent = truth["x"], truth["t_x"], truth["alive"], truth["bought"] == 0
    told = {
        "alive": (model.p_alive(p, x, t_x, T), alive, np.ones(len(T))),
        "silent": (model.p_no_purchase(p, x, T, 20), silent, alive),
        "churned": (model.churn(p, x, t_x, T, 20), silent, np.ones(len(T))),
        "bought": (model.expected_purchases(p, x, t_x, T, 20), truth["bought"], np.ones(len(T))),
    }
    for what, (forecast, fact, among) in told.items():
        for group in (x == 0, (x > 0) & (x < 4), x >= 4):
            seen = group & (among > 0)
            gap = (fact - forecast)[seen]
            assert abs(gap.mean()) < 4.5 * max(float(gap.std()), 1e-3) / np.sqrt(seen.sum()), what


@both
def test_discounted_purchases_are_the_weighed_sum_of_purchases(model: ModuleType, cdnow: Summary) -> None:
    row, until, shares = (
        (cdnow.rows.x, cdnow.rows.t_x, cdnow.rows.T),
        np.array([4.0, 9.0]),
        np.array([0.2, 0.7]),
    )
    expected = sum(
        s * model.expected_purchases(model.PUBLISHED, *row, t) for t, s in zip(until, shares, strict=True)
    )
    np.testing.assert_allclose(model.discounted_purchases(model.PUBLISHED, *row, until, shares), expected)
