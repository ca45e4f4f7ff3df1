"""The truth is known here: purchase rate Gamma(0.9, 6), death rate Gamma(1.2, 40), both per week."""

import numpy as np
import pytest

from scoring.models import complaint_clock, complaint_fit
from scoring.models.arrays import Bools
from scoring.models.complaint_clock import Clock, Gamma
from scoring.models.complaint_fit import fit_clock, log_likelihood_with_gradient
from scoring.models.complaints import SEVERITIES, Schedules
from scoring.models.pareto_nbd import Params
from scoring.models.rfm import Rows

TRUTH = Params(0.9, 6, 1.2, 40)


def simulate(gamma: Gamma, n: int, seed: int) -> tuple[Rows, Schedules, int]:
    """Complaints come at random whatever the customer does; death comes when its clock has run far enough."""
    rng = np.random.default_rng(seed)
    T = rng.uniform(52, 156, n)
    row = np.repeat(np.arange(n), rng.poisson(0.02 * T))
    m = len(row)
    opened = rng.uniform(size=m) * T[row]
    severity = rng.choice(list(SEVERITIES.values()), m)
    schedules = Schedules.of_arrays(
        row, opened, opened + rng.exponential(2, m), rng.integers(1, 3, m), severity
    )
    clock = Clock.of(schedules, gamma)
    needed = rng.exponential(1 / rng.gamma(TRUTH.s, 1 / TRUTH.beta, n))
    death = needed.copy()
    for place, who in enumerate(schedules.customer):
        pieces = slice(schedules.first[place], schedules.first[place + 1])
        at = int(np.searchsorted(clock.at_start[pieces], needed[who], "right")) - 1
        left = needed[who] - clock.at_start[pieces][at]
        death[who] = schedules.start[pieces][at] + left / clock.g[pieces][at]
    active = np.minimum(death, T)
    x = rng.poisson(rng.gamma(TRUTH.r, 1 / TRUTH.alpha, n) * active).astype(np.float64)
    last = active * rng.uniform(size=n) ** (1 / np.maximum(x, 1))
    return Rows.of(x, np.where(x > 0, last, 0), T), schedules, m


def halves(rows: Rows, schedules: Schedules) -> tuple[Rows, Rows]:
    loud: Bools = np.zeros(len(rows.x), dtype=np.bool_)
    loud[schedules.customer] = True
    quiet, rest = (Rows(rows.x[w], rows.t_x[w], rows.T[w], rows.weight[w]) for w in (~loud, loud))
    return quiet, rest


def test_the_gradient_is_the_slope_of_the_likelihood() -> None:
    rows, schedules, _ = simulate(Gamma(1, 1.5, -0.4), 400, 1)
    quiet, loud = halves(rows, schedules)
    at = np.array([*np.log([0.7, 8, 1, 30]), 0.8, 1.2, -0.2])
    value, gradient = log_likelihood_with_gradient(at, quiet, loud, schedules)
    clock = Clock.of(schedules, Gamma(0.8, 1.2, -0.2))
    direct = complaint_clock.log_likelihood(Params(0.7, 8, 1, 30), clock, rows.x, rows.t_x, rows.T)
    assert value == pytest.approx(direct.sum(), rel=1e-12)
    for j, move in enumerate(np.eye(7) * 1e-5):
        above, _ = log_likelihood_with_gradient(at + move, quiet, loud, schedules)
        below, _ = log_likelihood_with_gradient(at - move, quiet, loud, schedules)
        assert gradient[j] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-3)


def test_the_true_effect_is_found_within_its_errors() -> None:
    truth = Gamma(1, 1.5, -0.4)
    rows, schedules, complaints = simulate(truth, 2500, 3)
    found = fit_clock(rows, schedules, complaints)
    for name, error in found.standard_errors.items():
        assert abs(getattr(found.gamma, name) - getattr(truth, name)) < 3 * error
    assert found.usable


def test_where_complaints_have_no_effect_none_is_claimed() -> None:
    rows, schedules, complaints = simulate(Gamma(0, 0, 0), 2000, 4)
    found = fit_clock(rows, schedules, complaints)
    for name, error in found.standard_errors.items():
        assert abs(getattr(found.gamma, name)) < 3 * error
    assert not found.usable


def test_few_complaints_are_not_enough_to_go_by() -> None:
    rows, schedules, _ = simulate(Gamma(2, 2, 2), 300, 5)
    found = fit_clock(rows, schedules, complaints=complaint_fit.ENOUGH_COMPLAINTS - 1)
    assert not found.usable


def test_without_complaints_the_fit_is_the_plain_one_and_nothing_is_claimed() -> None:
    rows, _, _ = simulate(Gamma(0, 0, 0), 300, 6)
    found = fit_clock(rows, Schedules.none(), 0)
    assert found.gamma == Gamma(0, 0, 0)
    assert found.p_value == 1
