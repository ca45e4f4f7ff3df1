import warnings

import numpy as np
import pytest
from lifetimes import GammaGammaFitter

from scoring.models import gamma_gamma
from scoring.models.fit import logs
from scoring.models.gamma_gamma import PUBLISHED, Params, Spending
from scoring.models.rfm import Summary


def test_the_published_fit_is_reproduced(cdnow: Summary) -> None:
    fitted = gamma_gamma.fit(cdnow.rows.x, cdnow.mean_amount, use_prior=False)
    assert (fitted.params.p, fitted.params.q) == pytest.approx((6.25, 3.74), abs=5e-3)
    assert fitted.params.gamma == pytest.approx(15.44, abs=5e-3)
    assert fitted.log_likelihood == pytest.approx(-4055.92, abs=5e-3)
    assert fitted.n == 946


def test_the_expected_amount_lies_between_the_customer_s_mean_and_everybody_s() -> None:
    everybody = PUBLISHED.p * PUBLISHED.gamma / (PUBLISHED.q - 1)
    none, one, many = gamma_gamma.expected_amount(PUBLISHED, [0, 1, 500], [0, 100, 100])
    assert none == pytest.approx(everybody)
    assert everybody < one < many < 100
    assert many == pytest.approx(100, rel=0.01)


def test_the_gradient_is_the_slope_of_the_likelihood(cdnow: Summary) -> None:
    spending, at = Spending.of(cdnow.rows.x, cdnow.mean_amount), logs(Params(3, 2, 20))
    _, gradient = gamma_gamma.log_likelihood_with_gradient(at, spending)
    for j, move in enumerate(np.eye(3) * 1e-5):
        above, _ = gamma_gamma.log_likelihood_with_gradient(at + move, spending)
        below, _ = gamma_gamma.log_likelihood_with_gradient(at - move, spending)
        assert gradient[j] == pytest.approx((above - below) / 2e-5, rel=1e-5)


def test_money_in_another_unit_changes_only_the_unit_of_gamma(cdnow: Summary) -> None:
    dollars = gamma_gamma.fit(cdnow.rows.x, cdnow.mean_amount).params
    cents = gamma_gamma.fit(cdnow.rows.x, cdnow.mean_amount * 100).params
    assert (cents.p, cents.q) == pytest.approx((dollars.p, dollars.q), rel=1e-3)
    assert cents.gamma == pytest.approx(100 * dollars.gamma, rel=1e-3)


@pytest.mark.parametrize("use_prior", [True, False])
@pytest.mark.parametrize(
    ("x", "amount"), [([], []), ([1], [20]), ([2, 3], [0, -5]), ([5] * 50, [30] * 50), ([1, 2], [1e9, 1e-9])]
)
def test_a_fit_to_absurd_amounts_expects_finite_amounts(
    x: list[float], amount: list[float], use_prior: bool
) -> None:
    fitted = gamma_gamma.fit(x, amount, use_prior=use_prior)
    assert fitted.params.q > 1
    assert np.isfinite(gamma_gamma.expected_amount(fitted.params, [0, 1, 700], [0, 50, 1e6])).all()


def test_standard_errors_agree_with_lifetimes(cdnow: Summary) -> None:
    bought = cdnow.rows.x > 0
    fitter = GammaGammaFitter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own libraries
        fitter.fit(cdnow.rows.x[bought], cdnow.mean_amount[bought])
        expected = fitter.summary["se(coef)"]
    errors = gamma_gamma.fit(cdnow.rows.x, cdnow.mean_amount, use_prior=False).standard_errors
    assert errors["p"] == pytest.approx(expected["p"], rel=1e-3)
    assert errors["q"] == pytest.approx(expected["q"], rel=1e-3)
    assert errors["gamma"] == pytest.approx(expected["v"], rel=1e-3)  # its v is γ


def test_customers_who_spend_alike_count_as_many() -> None:
    once, thrice = ([1, 2, 3], [20.0, 35.0, 10.0]), ([1, 2, 3] * 3, [20.0, 35.0, 10.0] * 3)
    few, many = Spending.of(*once), Spending.of(*thrice)
    assert (len(many), many.customers) == (3, 9)
    at = logs(PUBLISHED)
    value, gradient = gamma_gamma.log_likelihood_with_gradient(at, few)
    threefold, steeper = gamma_gamma.log_likelihood_with_gradient(at, many)
    assert threefold == pytest.approx(3 * value)
    np.testing.assert_allclose(steeper, 3 * gradient)
