import numpy as np
import pytest

from scoring.models import bg_nbd, gamma_gamma, pareto_nbd
from scoring.models.arrays import Floats
from scoring.models.rfm import MANY_ROWS, Rows


def buyers(p: pareto_nbd.Params, customers: int, weeks: float, dice: np.random.Generator) -> Rows:
    """Customers of Pareto/NBD, seen for different times."""
    rate = dice.gamma(p.r, 1 / p.alpha, customers)
    gone = dice.exponential(1 / dice.gamma(p.s, 1 / p.beta, customers))
    T = dice.uniform(weeks / 2, weeks, customers)
    active = np.minimum(gone, T)
    x = dice.poisson(rate * active).astype(np.float64)
    last = active * dice.uniform(size=customers) ** (1 / np.maximum(x, 1))
    return Rows.of(x, np.where(x > 0, last, 0), T)


def spread_and_errors(fits: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """How far estimates differ from fit to fit, and how far the fits say they do, in logarithms."""
    estimates, errors = (np.array(part) for part in zip(*fits, strict=True))
    return np.log(estimates).std(axis=0, ddof=1), np.median(errors / estimates, axis=0)


def test_standard_errors_of_pareto_nbd_are_the_spread_over_populations() -> None:
    truth, dice, fits = pareto_nbd.Params(0.9, 6, 1.2, 40), np.random.default_rng(1), []
    for _ in range(24):
        fitted = pareto_nbd.fit(buyers(truth, 3000, 104, dice), use_prior=False)
        p = fitted.params
        errors = np.array(list(fitted.standard_errors.values()))
        fits.append((np.array([p.r, p.alpha, p.s, p.beta]), errors))
    spread, told = spread_and_errors(fits)
    np.testing.assert_allclose(told, spread, rtol=0.4)


def test_standard_errors_of_gamma_gamma_are_the_spread_over_populations() -> None:
    truth, dice, fits = gamma_gamma.PUBLISHED, np.random.default_rng(2), []
    for _ in range(40):
        x = 1.0 + dice.poisson(2, 1000)
        rate = dice.gamma(truth.q, 1 / truth.gamma, len(x))
        fitted = gamma_gamma.fit(x, dice.gamma(truth.p * x, 1 / (rate * x)), use_prior=False)
        p = fitted.params
        fits.append((np.array([p.p, p.q, p.gamma]), np.array(list(fitted.standard_errors.values()))))
    spread, told = spread_and_errors(fits)
    np.testing.assert_allclose(told, spread, rtol=0.4)


def test_a_likelihood_without_a_peak_has_not_converged() -> None:
    once = Rows.of(np.zeros(500), np.zeros(500), np.full(500, 30.0))
    assert not bg_nbd.fit(once, use_prior=False).converged
    assert bg_nbd.fit(once, use_prior=True).converged


def test_very_many_customers_are_fitted_like_few_and_judged_by_all_their_digits() -> None:
    truth = pareto_nbd.Params(0.9, 6, 1.2, 40)
    rows = buyers(truth, 2 * MANY_ROWS, 104, np.random.default_rng(4))
    fitted = pareto_nbd.fit(rows, use_prior=False)
    assert fitted.converged
    for name, error in fitted.standard_errors.items():
        assert abs(getattr(fitted.params, name) - getattr(truth, name)) < 3 * error
    exact = pareto_nbd.log_likelihood(fitted.params, rows.x, rows.t_x, rows.T).sum()
    assert fitted.log_likelihood == pytest.approx(exact, rel=1e-12)


def test_weights_stand_for_customers_alike() -> None:
    row, weight = ([0, 2, 5], [0, 9, 20], [30, 30, 25]), [300, 80, 20]
    weighed = pareto_nbd.fit(Rows.of(*row, weight))
    repeated = pareto_nbd.fit(Rows.of(*(np.repeat(part, weight) for part in row)))
    assert weighed == repeated
