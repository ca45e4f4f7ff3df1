import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifetimes import ParetoNBDFitter
from scipy import integrate, special

from scoring.models import pareto_nbd
from scoring.models.arrays import Bools, Floats
from scoring.models.pareto_nbd import PUBLISHED, Params
from scoring.models.rfm import Rows, Summary

parameter = st.floats(0.05, 20.0)
scale = st.floats(0.05, 500.0)
params = st.builds(Params, r=parameter, alpha=scale, s=parameter, beta=scale)
purchases = st.integers(0, 900)
share = st.floats(0.0, 1.0)
age = st.floats(1e-6, 1500.0)


def hypergeometric_log_odds_dead(p: Params, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """The published closed form, a difference of two ₂F₁; good where T is not close to t_x and x is small."""
    big_r = p.r + p.s + x

    def ell(y: Floats) -> Floats:
        if p.alpha <= p.beta:
            f = special.hyp2f1(1, p.s + 1, big_r + 1, (p.beta - p.alpha) / (p.beta + y))
            return np.asarray(
                -(p.s + 1) * np.log(p.beta + y) + (1 - p.r - x) * np.log(p.alpha + y) + np.log(f)
            )
        f = special.hyp2f1(1, p.r + x, big_r + 1, (p.alpha - p.beta) / (p.alpha + y))
        return np.asarray(-p.s * np.log(p.beta + y) - (p.r + x) * np.log(p.alpha + y) + np.log(f))

    log_a0 = ell(t_x) + np.log(-np.expm1(ell(T) - ell(t_x)))
    return np.asarray(
        np.log(p.s / big_r) + (p.r + x) * np.log(p.alpha + T) + p.s * np.log(p.beta + T) + log_a0
    )


def test_the_published_fit_to_cdnow_is_reproduced(cdnow: Summary) -> None:
    fitted = pareto_nbd.fit(cdnow.rows, use_prior=False)
    assert fitted.params.r == pytest.approx(0.553, abs=5e-4)
    assert fitted.params.alpha == pytest.approx(10.578, abs=5e-4)
    assert fitted.params.s == pytest.approx(0.606, abs=5e-4)
    assert fitted.params.beta == pytest.approx(11.669, abs=5e-4)
    assert fitted.log_likelihood == pytest.approx(-9594.976, abs=5e-4)
    assert (fitted.n, fitted.repeat_buyers) == (2357, 946)
    assert fitted.converged
    assert not fitted.prior_driven


def test_with_thousands_of_customers_the_prior_hardly_matters(cdnow: Summary) -> None:
    fitted = pareto_nbd.fit(cdnow.rows)
    assert fitted.log_likelihood == pytest.approx(-9594.976, abs=1e-3)


def test_predictions_agree_with_lifetimes(cdnow: Summary) -> None:
    rows = cdnow.rows
    oracle = ParetoNBDFitter()
    oracle.params_ = {"r": PUBLISHED.r, "alpha": PUBLISHED.alpha, "s": PUBLISHED.s, "beta": PUBLISHED.beta}
    oracle._unload_params = lambda *_: [PUBLISHED.r, PUBLISHED.alpha, PUBLISHED.s, PUBLISHED.beta]
    row = (rows.x, rows.t_x, rows.T)
    np.testing.assert_allclose(
        pareto_nbd.p_alive(PUBLISHED, *row), oracle.conditional_probability_alive(*row), rtol=1e-10
    )
    np.testing.assert_allclose(
        pareto_nbd.expected_purchases(PUBLISHED, *row, 39),
        oracle.conditional_expected_number_of_purchases_up_to_time(39, *row),
        rtol=1e-10,
    )


@settings(max_examples=200)
@given(
    p=st.builds(
        Params, r=st.floats(0.1, 3), alpha=st.floats(1, 50), s=st.floats(0.1, 3), beta=st.floats(1, 50)
    ),
    x=st.integers(0, 20),
    share=st.floats(0, 0.8),
    age=st.floats(5, 100),
)
def test_the_integral_equals_the_published_hypergeometric_form(
    p: Params, x: int, share: float, age: float
) -> None:
    row = (np.array([float(x)]), np.array([share * age if x else 0.0]), np.array([age]))
    expected = hypergeometric_log_odds_dead(p, *row)
    np.testing.assert_allclose(pareto_nbd.log_odds_dead(p, *row), expected, rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize(
    ("p", "x", "t_x", "T"),
    [
        (Params(0.5, 10, 0.6, 12), 0, 0, 40),
        (Params(0.5, 10, 1.0, 12), 3, 20, 40),
        (Params(0.5, 11.0, 0.6, 11.0), 3, 20, 40),
        (Params(0.5, 10, 0.6, 12), 400, 38, 40),
        (Params(8, 0.3, 6, 200), 30, 1, 200),
        (Params(0.5, 200, 0.6, 0.3), 2, 0.5, 300),
    ],
)
def test_p_alive_equals_numerical_integration_of_its_definition(
    p: Params, x: float, t_x: float, T: float
) -> None:
    def density(u: float) -> float:
        rate = (p.r + x) * (np.log(p.alpha + T) - np.log(p.alpha + u))
        return float(p.s * np.exp(rate + p.s * (np.log(p.beta + T) - np.log(p.beta + u))) / (p.beta + u))

    near = [t_x + (T - t_x) * part for part in (1e-4, 1e-3, 1e-2, 0.1)]
    dead, _ = integrate.quad(density, t_x, T, points=near, epsrel=1e-12, epsabs=0, limit=500)
    np.testing.assert_allclose(pareto_nbd.p_alive(p, x, t_x, T), 1 / (1 + dead), rtol=1e-9)


@settings(max_examples=300)
@given(p=params, x=purchases, share=share, T=age, t=st.floats(0.0, 520.0))
def test_every_answer_is_finite_and_in_range_at_the_extremes(
    p: Params, x: int, share: float, T: float, t: float
) -> None:
    t_x = share * T if x else 0.0
    alive = pareto_nbd.p_alive(p, x, t_x, T)[0]
    assert 0 <= alive <= 1
    assert 0 <= pareto_nbd.p_no_purchase(p, x, T, t)[0] <= 1
    assert 0 <= pareto_nbd.churn(p, x, t_x, T, t)[0] <= 1
    expected = pareto_nbd.expected_purchases(p, x, t_x, T, t)[0]
    assert 0 <= expected <= (p.r + x) / (p.alpha + T) * t * (1 + 1e-12)
    assert np.isfinite(pareto_nbd.log_likelihood(p, x, t_x, T)).all()


def test_a_customer_who_bought_just_now_is_alive() -> None:
    assert pareto_nbd.p_alive(PUBLISHED, [0, 3, 700], [0, 20, 99], [0, 20, 99]).tolist() == [1, 1, 1]


@given(p=params, x=purchases, share=share, T=age, later=st.floats(0.0, 300.0))
def test_p_alive_falls_while_nothing_is_bought(
    p: Params, x: int, share: float, T: float, later: float
) -> None:
    t_x = share * T if x else 0.0
    now, then = pareto_nbd.p_alive(p, [x, x], [t_x, t_x], [T, T + later])
    assert then <= now * (1 + 1e-9)


@given(p=params, x=purchases, share=share, T=age, H=st.floats(0.01, 200.0), later=st.floats(0.0, 300.0))
def test_churn_rises_while_nothing_is_bought(
    p: Params, x: int, share: float, T: float, H: float, later: float
) -> None:
    t_x = share * T if x else 0.0
    now, then = pareto_nbd.churn(p, [x, x], [t_x, t_x], [T, T + later], H)
    assert then >= now - 1e-11


@given(x=st.integers(0, 50), share=share, T=st.floats(0.1, 200), t=st.floats(0.1, 200))
def test_expected_purchases_near_s_equal_to_one_go_over_into_the_logarithm(
    x: int, share: float, T: float, t: float
) -> None:
    t_x = share * T if x else 0.0
    below, at, above = (
        pareto_nbd.expected_purchases(Params(0.5, 10, s, 12), x, t_x, T, t)[0]
        for s in (1 - 1e-9, 1, 1 + 1e-9)
    )
    assert below == pytest.approx(at, rel=1e-6)
    assert above == pytest.approx(at, rel=1e-6)


@pytest.mark.parametrize("p", [PUBLISHED, Params(2, 3, 1, 3), Params(0.2, 40, 5, 2)])
def test_the_gradient_is_the_slope_of_the_likelihood(cdnow: Summary, p: Params) -> None:
    rows = cdnow.rows.collapsed()
    at = np.log([p.r, p.alpha, p.s, p.beta])
    _, gradient = pareto_nbd.log_likelihood_with_gradient(at, rows)
    for j, move in enumerate(np.eye(4) * 1e-5):
        above, _ = pareto_nbd.log_likelihood_with_gradient(at + move, rows)
        below, _ = pareto_nbd.log_likelihood_with_gradient(at - move, rows)
        assert gradient[j] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-3)


def test_the_gradient_s_value_is_the_likelihood(cdnow: Summary) -> None:
    rows = cdnow.rows
    value, _ = pareto_nbd.log_likelihood_with_gradient(np.log([0.5, 9, 0.7, 12]), rows)
    assert value == pytest.approx(
        pareto_nbd.log_likelihood(Params(0.5, 9, 0.7, 12), rows.x, rows.t_x, rows.T).sum(), rel=1e-12
    )


def simulate(p: Params, customers: int, weeks: float, seed: int) -> tuple[Rows, Bools]:
    """Customers with known truth; the rows seen until `weeks`, and who is really alive then."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(p.r, 1 / p.alpha, customers)
    death = rng.exponential(1 / rng.gamma(p.s, 1 / p.beta, customers))
    T = rng.uniform(weeks / 2, weeks, customers)
    active = np.minimum(death, T)
    x = rng.poisson(rate * active).astype(np.float64)
    last = active * rng.uniform(size=customers) ** (1 / np.maximum(x, 1))  # the last of x uniform times
    return Rows.of(x, np.where(x > 0, last, 0), T), death > T


def test_a_known_truth_is_found_again() -> None:
    truth = Params(r=0.9, alpha=6, s=1.2, beta=40)
    rows, alive = simulate(truth, 20_000, 104, seed=3)
    fitted = pareto_nbd.fit(rows)
    for name, error in fitted.standard_errors.items():
        assert abs(getattr(fitted.params, name) - getattr(truth, name)) < 3 * error
    p = pareto_nbd.p_alive(fitted.params, rows.x, rows.t_x, rows.T)
    bins = np.digitize(p, np.linspace(0, 1, 11)[1:-1])
    error = sum(abs((p - alive)[bins == b].sum()) for b in range(10)) / len(p)
    assert error < 0.015


@pytest.mark.parametrize("use_prior", [True, False])
@pytest.mark.parametrize(
    "rows",
    [
        Rows.of([0.0], [0.0], [10.0]),
        Rows.of([3.0], [9.0], [10.0]),
        Rows.of(np.zeros(500), np.zeros(500), np.full(500, 30.0)),
        Rows.of([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),
        Rows.of([400.0] * 5, [50.0] * 5, [50.0] * 5),
        Rows.of([], [], []),
    ],
    ids=["one buyer", "one regular", "all bought once", "no time passed", "no silence", "nobody"],
)
def test_a_fit_to_an_absurd_population_is_finite(rows: Rows, use_prior: bool) -> None:
    fitted = pareto_nbd.fit(rows, use_prior=use_prior)
    assert np.isfinite(pareto_nbd.p_alive(fitted.params, 2, 5, 20)).all()
    assert np.isfinite(fitted.log_likelihood)
    assert fitted.prior_driven == use_prior


def test_the_prior_follows_the_pace_of_the_deployment(cdnow: Summary) -> None:
    rows = cdnow.rows
    slow = Rows.of(rows.x, rows.t_x * 10, rows.T * 10)
    assert pareto_nbd.prior(slow).alpha == pytest.approx(10 * pareto_nbd.prior(rows).alpha)
    assert pareto_nbd.prior(rows).alpha == pytest.approx(PUBLISHED.alpha, rel=1e-3)
    fast_fit, slow_fit = pareto_nbd.fit(rows), pareto_nbd.fit(slow)
    assert slow_fit.params.alpha == pytest.approx(10 * fast_fit.params.alpha, rel=1e-3)


def test_few_customers_with_the_prior_are_nearer_the_truth_than_without() -> None:
    truth = Params(r=0.553, alpha=10.578, s=0.606, beta=11.669)
    near = far = 0.0
    for seed in range(20):
        rows, _ = simulate(truth, 60, 52, seed)
        expected = pareto_nbd.expected_purchases(truth, rows.x, rows.t_x, rows.T, 26)
        for use_prior in (True, False):
            found = pareto_nbd.fit(rows, use_prior=use_prior).params
            guess = pareto_nbd.expected_purchases(found, rows.x, rows.t_x, rows.T, 26)
            error = float(np.mean((guess - expected) ** 2))
            near, far = (near + error, far) if use_prior else (near, far + error)
    assert near < 0.7 * far
