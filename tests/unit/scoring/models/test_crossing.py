"""Time alone: what it does to the figures, and when it takes churn over a threshold."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.models import pareto_nbd
from scoring.models.complaint_effect import Gamma
from scoring.models.complaints import Complaint, Outcome, Schedules, Severity
from scoring.models.crossing import SECOND, crossing
from scoring.models.score import Customers, Model, churn, log_odds_churn, score

OUTCOMES: list[Outcome | None] = [None, "recovered", "mishandled"]
SEVERITIES: list[Severity] = ["minor", "major", "critical"]

effects = st.floats(-2, 3)
models = st.builds(
    lambda r, alpha, s, beta, gamma: Model(pareto_nbd.Params(r, alpha, s, beta), gamma),
    st.floats(0.1, 5),
    st.floats(1, 50),
    st.floats(0.1, 5),
    st.floats(1, 50),
    st.one_of(
        st.builds(Gamma, effects, effects, effects),
        st.builds(
            Gamma,
            effects,
            effects,
            effects,
            coming_shape=st.floats(0.05, 50),
            coming_rate=st.floats(1, 5000),
            coming_after_death=st.floats(0, 1),
            coming_per_purchase=st.floats(0, 100),
            coming_lag=st.floats(0.1, 10),
            closing_rate=st.sampled_from([0.0, 0.3, 2.0]),
        ),
    ),
)


def people(seed: int, n: int = 60, *, ahead: bool = True) -> Customers:
    """With up to three complaints each, some yet to come or to be resolved; every fourth has none."""
    rng = np.random.default_rng(seed)
    T = rng.uniform(0.1, 150, n)
    x = rng.poisson(rng.gamma(0.5, 10, n)).astype(np.float64)
    t_x = np.where(x > 0, T * rng.uniform(size=n) ** (1 / (x + 1)), 0)
    complaints = {}
    for row in range(n):
        if row % 4:
            opened = rng.uniform(-5, T[row] + (10 if ahead else 0), rng.integers(1, 4))
            latest = np.inf if ahead else T[row]
            complaints[row] = [
                Complaint(
                    float(at),
                    None if rng.random() < 0.2 else float(min(at + rng.exponential(3), latest)),
                    OUTCOMES[rng.integers(3)],
                    SEVERITIES[rng.integers(3)],
                )
                for at in opened
            ]
    return Customers.of(x, t_x, T, rng.gamma(3, 10, n), Schedules.of(complaints))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), models, st.sampled_from([1.0, 13.0, 52.0]))
def test_by_time_alone_churn_never_falls_and_nothing_else_rises(
    seed: int, model: Model, horizon: float
) -> None:
    now = people(seed, ahead=not model.gamma.tells_of_life)
    steps = np.sort(np.random.default_rng(seed).uniform(0, 80, 40))
    before, odds = score(now, model, horizon), log_odds_churn(now, model, horizon)
    for weeks in steps:
        later = replace(now, T=now.T + weeks)
        after, odds_after = score(later, model, horizon), log_odds_churn(later, model, horizon)
        assert (odds_after - odds >= -1e-9 * np.abs(odds)).all()
        for name in ("p_alive", "expected_purchases", "clv"):
            was, is_ = getattr(before, name), getattr(after, name)
            assert (is_ <= was * (1 + 1e-9) + 1e-15).all(), name
        before, odds = after, odds_after


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), models, st.floats(0.05, 0.95))
def test_a_crossing_is_found_within_half_a_second_and_never_early(
    seed: int, model: Model, threshold: float
) -> None:
    now = people(seed, ahead=not model.gamma.tells_of_life)
    ahead = crossing(now, model, 13, threshold)
    np.testing.assert_array_equal(ahead == 0, churn(now, model, 13) >= threshold)
    rows = np.flatnonzero((ahead > 0) & np.isfinite(ahead))
    some = now.take(rows)
    there = log_odds_churn(replace(some, T=some.T + ahead[rows]), model, 13)
    before = log_odds_churn(replace(some, T=some.T + np.maximum(ahead[rows] - SECOND / 2, 0)), model, 13)
    goal = np.log(threshold / (1 - threshold))
    assert (there >= goal).all()
    assert (before <= goal).all()


def test_the_end_of_a_complaints_window_slows_the_rise_of_churn_but_does_not_turn_it() -> None:
    window = Schedules.of({0: [Complaint(39.0, 39.5, "mishandled", "critical")]})
    now = Customers.of(10, 38, 40, 30, window)
    weeks = np.arange(0.0, 60.0)
    risk = np.array([churn(replace(now, T=now.T + at), Model(), 13)[0] for at in weeks])
    assert (np.diff(risk) > 0).all()
    ends = 39.5 + 26 - 40
    steepest = np.diff(risk[weeks < ends - 13]).max()
    assert np.diff(risk[weeks > ends]).max() < steepest
