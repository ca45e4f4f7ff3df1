from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from scoring.models import complaint_clock, pareto_nbd
from scoring.models.arrays import Floats
from scoring.models.complaint_clock import Clock
from scoring.models.complaint_effect import NO_EFFECT, PRIOR_GAMMA, Gamma
from scoring.models.complaints import Complaint, Outcome, Schedules, Severity
from scoring.models.pareto_nbd import PUBLISHED, Params

OUTCOMES: list[Outcome | None] = ["recovered", "mishandled", None]
params = st.builds(
    Params,
    r=st.floats(0.05, 20),
    alpha=st.floats(0.05, 500),
    s=st.floats(0.05, 20),
    beta=st.floats(0.05, 500),
)
SEVERITIES: list[Severity] = ["minor", "major", "critical"]


def population(seed: int, n: int = 400) -> tuple[Floats, Floats, Floats, dict[int, list[Complaint]]]:
    """Customers of whom every other complained, once to four times, before or after their last purchase."""
    rng = np.random.default_rng(seed)
    T = rng.uniform(0.5, 150, n)
    x = rng.poisson(3, n).astype(np.float64)
    t_x = np.where(x > 0, rng.uniform(size=n) * T, 0)
    complaints: dict[int, list[Complaint]] = {}
    for row in range(0, n, 2):
        for _ in range(rng.integers(1, 5)):
            opened = rng.uniform(-5, T[row])
            resolved = None if rng.random() < 0.2 else opened + rng.exponential(4)
            outcome = OUTCOMES[rng.integers(3)] if resolved is not None else None
            complaints.setdefault(row, []).append(
                Complaint(opened, resolved, outcome, SEVERITIES[rng.integers(3)])
            )
    return x, t_x, T, complaints


@pytest.mark.parametrize("p", [PUBLISHED, Params(3, 2, 1, 40), Params(0.2, 60, 4, 3)])
def test_without_an_effect_the_clock_is_exactly_pareto_nbd(p: Params) -> None:
    x, t_x, T, complaints = population(1)
    clock = Clock.of(Schedules.of(complaints), NO_EFFECT)
    np.testing.assert_allclose(
        complaint_clock.p_alive(p, clock, x, t_x, T),
        pareto_nbd.p_alive(p, x, t_x, T),
        rtol=1e-10,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        complaint_clock.churn(p, clock, x, t_x, T, 13),
        pareto_nbd.churn(p, x, t_x, T, 13),
        rtol=1e-10,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        complaint_clock.expected_purchases(p, clock, x, t_x, T, 26),
        pareto_nbd.expected_purchases(p, x, t_x, T, 26),
        rtol=1e-10,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        complaint_clock.log_likelihood(p, clock, x, t_x, T),
        pareto_nbd.log_likelihood(p, x, t_x, T),
        rtol=1e-10,
        atol=1e-12,
    )


def test_customers_without_complaints_are_plain_whatever_the_effect() -> None:
    x, t_x, T, complaints = population(2)
    clock = Clock.of(Schedules.of(complaints), PRIOR_GAMMA)
    plain = pareto_nbd.p_alive(PUBLISHED, x, t_x, T)
    np.testing.assert_array_equal(complaint_clock.p_alive(PUBLISHED, clock, x, t_x, T)[1::2], plain[1::2])


def test_p_alive_churn_and_expectation_equal_the_numerical_integrals() -> None:
    p, (x, t_x, T, complaints) = PUBLISHED, population(3, 40)
    schedules = Schedules.of(complaints)
    gamma, H = Gamma(1.0, 1.5, -0.4), 20.0
    clock = Clock.of(schedules, gamma)
    alive = complaint_clock.p_alive(p, clock, x, t_x, T)
    silent = complaint_clock.p_no_purchase(p, clock, x, T, H)
    expected = complaint_clock.expected_purchases(p, clock, x, t_x, T, H)
    likelihood = complaint_clock.log_likelihood(p, clock, x, t_x, T)
    later = complaint_clock.log_likelihood(p, clock, x, t_x, T + H)
    for place, row in enumerate(schedules.customer):
        pieces = slice(schedules.first[place], schedules.first[place + 1])
        starts, g = schedules.start[pieces], np.exp(schedules.z[pieces] @ [1.0, 1.5, -0.4])

        def over(
            density: Callable[[float], float], since: float, until: float, starts: Floats = starts
        ) -> float:
            cuts = [since, *(s for s in starts if since < s < until), until]
            return sum(integrate.quad(density, a, b, epsrel=1e-11)[0] for a, b in pairwise(cuts))

        def speed(u: float, starts: Floats = starts, g: Floats = g) -> float:
            return float(g[np.searchsorted(starts, u, "right") - 1])

        def time(u: float, starts: Floats = starts, g: Floats = g) -> float:
            return float((g * np.clip(np.minimum(np.append(starts[1:], np.inf), u) - starts, 0, None)).sum())

        def dying(u: float, row: int = row) -> float:
            buying = ((p.alpha + T[row]) / (p.alpha + u)) ** (p.r + x[row])
            living = ((p.beta + time(T[row])) / (p.beta + time(u))) ** p.s
            return float(p.s * buying * living * speed(u) / (p.beta + time(u)))

        assert alive[row] == pytest.approx(1 / (1 + over(dying, t_x[row], T[row])), rel=1e-9)
        weeks = over(lambda u: ((p.beta + time(T[row])) / (p.beta + time(u))) ** p.s, T[row], T[row] + H)  # noqa: B023
        rate = (p.r + x[row]) / (p.alpha + T[row])
        assert expected[row] == pytest.approx(alive[row] * rate * weeks, rel=1e-9)
        churn = 1 - alive[row] * (1 - silent[row])  # P(nothing until T+H | nothing until T)
        assert churn == pytest.approx(np.exp(later[row] - likelihood[row]), rel=1e-9)


def churn_of(complaints: list[Complaint], T: float = 40.0) -> float:
    clock = Clock.of(Schedules.of({0: complaints}), PRIOR_GAMMA)
    return float(complaint_clock.churn(PUBLISHED, clock, 5, 38, T, 13)[0])


def test_an_open_complaint_raises_churn_and_a_good_recovery_lowers_it_again() -> None:
    never = churn_of([])
    opened = churn_of([Complaint(39.5)])
    recovered = churn_of([Complaint(39.5, 40, "recovered")])
    mishandled = churn_of([Complaint(39.5, 40, "mishandled")])
    assert never < recovered < opened < mishandled


def test_a_graver_complaint_weighs_more() -> None:
    minor, major, critical = (churn_of([Complaint(39.5, severity=s)]) for s in SEVERITIES)
    assert minor < major < critical


@settings(max_examples=100)
@given(
    seed=st.integers(0, 10**6),
    gammas=st.tuples(*[st.floats(-4, 4)] * 3),
    p=params,
)
def test_every_answer_is_finite_in_range_and_p_alive_falls(
    seed: int, gammas: tuple[float, float, float], p: Params
) -> None:
    x, t_x, T, complaints = population(seed, 6)
    clock = Clock.of(Schedules.of(complaints), Gamma(*gammas))
    now = complaint_clock.p_alive(p, clock, x * 100, t_x, T)
    then = complaint_clock.p_alive(p, clock, x * 100, t_x, T + 3)
    assert ((now >= 0) & (now <= 1)).all()
    assert (then <= now * (1 + 1e-9)).all()
    churn = complaint_clock.churn(p, clock, x, t_x, T, 13)
    assert ((churn >= 0) & (churn <= 1)).all()
    assert np.isfinite(complaint_clock.expected_purchases(p, clock, x, t_x, T, 13)).all()
    assert np.isfinite(complaint_clock.log_likelihood(p, clock, x, t_x, T)).all()
