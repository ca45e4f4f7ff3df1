from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter

from scoring.models import bg_nbd, mbg_nbd
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
def test_a_fit_to_customers_who_all_bought_once_is_finite(model: ModuleType) -> None:
    fitted = model.fit(Rows.of(np.zeros(500), np.zeros(500), np.full(500, 30.0)), use_prior=False)
    assert np.isfinite(model.p_alive(fitted.params, 2, 5, 20)).all()
