"""Complaints as signs of life: against numerical integrals, at extremes, and what they mean."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from scoring.models import complaint_clock, pareto_nbd
from scoring.models.complaint_clock import Clock
from scoring.models.complaint_effect import NO_EFFECT, Gamma
from scoring.models.complaints import PHASES, Complaint, Outcome, Schedules
from scoring.models.pareto_nbd import Params

P = Params(0.9, 6, 1.2, 40)
SIGNS = Gamma(1.0, 1.5, -0.4, 0.8, 40.0, 0.1, 3.0, 1.5)
ANSWERED = replace(SIGNS, closing_rate=0.4)
OUTCOMES: list[Outcome | None] = [None, "mishandled", "recovered"]


def p_alive(gamma: Gamma, x: float, t_x: float, T: float, complaints: list[Complaint]) -> float:
    clock = Clock.of(Schedules.of({0: complaints}), gamma)
    return float(complaint_clock.p_alive(P, clock, x, t_x, T)[0])


def by_definition(gamma: Gamma, x: float, t_x: float, T: float, complaints: list[Complaint]) -> float:
    """P(alive) as the integral over the instant of death of what the docstrings of the models say.

    For complaints that do not overlap, resolved before T.
    """
    lag, phi, rho = gamma.coming_lag, gamma.coming_per_purchase, gamma.coming_after_death
    first = np.exp(-t_x / lag)
    trace = 1 + (x > 0) * first + max(x - 1, 0) * ((1 - first) * lag / t_x if t_x else 0)
    ends = {c: float(c.resolved if c.resolved is not None else np.inf) for c in complaints}

    def g(u: float) -> float:
        z = dict.fromkeys(PHASES, 0.0)
        for c in complaints:
            if c.opened <= u < ends[c]:
                z["open"] = 1.0
            elif c.outcome and ends[c] <= u < ends[c] + 26:
                z[c.outcome] = 1.0
        return float(np.exp(sum(getattr(gamma, phase) * value for phase, value in z.items())))

    cuts = sorted(
        {t_x, T, *(at for c in complaints for at in (c.opened, ends[c], ends[c] + 26) if at < T)} | {0.0}
    )

    def clock(u: float) -> float:
        return float(sum(g((a + b) / 2) * (min(b, u) - a) for a, b in pairwise(cuts) if a < u))

    def exposed(u: float) -> float:
        return float(gamma.coming_rate + u + phi * (x + 1 - trace * np.exp((t_x - u) / lag)))

    def dying(u: float) -> float:
        r, alpha, s, beta = P.r, P.alpha, P.s, P.beta
        bought = ((alpha + T) / (alpha + u)) ** (r + x)
        lived = ((beta + clock(T)) / (beta + clock(u))) ** s * s * g(u) / (beta + clock(u))
        dead = exposed(u) + rho * (exposed(T) - exposed(u))
        silent = (exposed(T) / dead) ** (gamma.coming_shape + len(complaints))
        after = rho ** sum(c.opened > u for c in complaints)
        still = sum(max(0.0, min(ends[c], T) - max(c.opened, u)) for c in complaints)
        return float(bought * lived * silent * after * np.exp(gamma.closing_rate * still))

    closed = [end for end in ends.values() if end > t_x and end <= T]
    since = max([t_x, *closed]) if gamma.closing_rate else t_x
    inside = [since, *(at for at in cuts if since < at < T), T]
    return 1 / (1 + sum(integrate.quad(dying, a, b, epsrel=1e-11)[0] for a, b in pairwise(inside)))


@pytest.mark.parametrize("gamma", [SIGNS, ANSWERED, replace(SIGNS, coming_after_death=1e-9)])
@pytest.mark.parametrize(
    "complaints",
    [
        [],
        [Complaint(3.0, 5.0, "recovered")],
        [Complaint(22.0)],
        [Complaint(4.0, 6.0, "recovered"), Complaint(21.0, 23.0, "mishandled"), Complaint(24.0, 27.0)],
    ],
    ids=["none", "before the last purchase", "open", "several"],
)
def test_p_alive_is_the_integral_over_the_instant_of_death(gamma: Gamma, complaints: list[Complaint]) -> None:
    for x, t_x in ((3.0, 20.0), (0.0, 0.0)):
        found = p_alive(gamma, x, t_x, 30.0, complaints)
        assert found == pytest.approx(by_definition(gamma, x, t_x, 30.0, complaints), rel=1e-7)


@pytest.mark.parametrize("x", [40.0, 120.0, 300.0])
def test_p_alive_is_that_integral_where_it_is_steep(x: float) -> None:
    """Of many purchases, or of answers that come at once, after a silence that leaves little hope or much."""
    slow = replace(SIGNS, coming_lag=40.0, coming_per_purchase=0.1)
    answered_at_once = replace(slow, closing_rate=7.0)
    for T in (50.2, 51.0, 58.0):
        assert p_alive(slow, x, 50.0, T, []) == pytest.approx(by_definition(slow, x, 50.0, T, []), rel=1e-6)
        waiting = [Complaint(50.1)]
        found = p_alive(answered_at_once, x, 50.0, T, waiting)
        assert found == pytest.approx(by_definition(answered_at_once, x, 50.0, T, waiting), rel=1e-6)


def test_where_the_dead_complain_as_much_complaints_tell_nothing() -> None:
    equal = replace(SIGNS, coming_after_death=1 - 1e-12)
    given_ = Gamma(SIGNS.open, SIGNS.mishandled, SIGNS.recovered)
    for complaints in ([], [Complaint(22.0)], [Complaint(21.0, 23.0, "mishandled")]):
        assert p_alive(equal, 3, 20, 30, complaints) == pytest.approx(p_alive(given_, 3, 20, 30, complaints))


def test_who_just_complained_is_likelier_alive_and_who_never_did_a_little_less() -> None:
    plain = float(pareto_nbd.p_alive(P, 3, 20, 30)[0])
    harmless = replace(SIGNS, open=0.0, mishandled=0.0, recovered=0.0)
    assert p_alive(harmless, 3, 20, 30, []) < plain < p_alive(harmless, 3, 20, 30, [Complaint(29.0)])


def test_an_answer_is_a_sign_of_life_where_only_the_living_are_answered() -> None:
    complained = [Complaint(21.0, 29.5, "recovered")]
    assert p_alive(ANSWERED, 3, 20, 30, complained) > p_alive(SIGNS, 3, 20, 30, complained)


def test_a_complaint_or_an_answer_known_ahead_of_the_clock_counts_from_now() -> None:
    opened, answered = [Complaint(30.5)], [Complaint(29.0, 30.5, "recovered")]
    assert p_alive(SIGNS, 3, 20, 30, opened) > p_alive(SIGNS, 3, 20, 30, [])
    assert p_alive(SIGNS, 3, 20, 30, opened) >= p_alive(SIGNS, 3, 20, 30.5, opened)
    assert p_alive(ANSWERED, 3, 20, 30, answered) == 1


def test_without_an_effect_and_without_signs_it_is_exactly_pareto_nbd() -> None:
    plain = float(pareto_nbd.p_alive(P, 3, 20, 30)[0])
    assert p_alive(NO_EFFECT, 3, 20, 30, []) == plain
    assert p_alive(NO_EFFECT, 3, 20, 30, [Complaint(22.0)]) == pytest.approx(plain, rel=1e-12)


parts = st.builds(
    Gamma,
    *[st.floats(-4, 4)] * 3,
    coming_shape=st.floats(1e-3, 1e3),
    coming_rate=st.floats(1e-2, 1e6),
    coming_after_death=st.sampled_from([0.0, 1e-12, 0.5, 1.0]),
    coming_per_purchase=st.sampled_from([0.0, 1.0, 1e5]),
    coming_lag=st.sampled_from([1e-3, 1.0, 1e3]),
    closing_rate=st.sampled_from([0.0, 1e-6, 5.0]),
)


@settings(max_examples=150, deadline=None)
@given(
    gamma=parts,
    x=st.sampled_from([0, 1, 900]),
    seen=st.sampled_from([(0.0, 0.0), (0.0, 1e-9), (52.0, 52.0), (51.9, 52.0), (1.0, 2000.0)]),
    opened=st.lists(st.sampled_from([-5.0, 0.0, 0.5, 1.0, 51.95, 52.0, 60.0]), max_size=8),
    many=st.booleans(),
    outcome=st.sampled_from(OUTCOMES),
)
def test_every_answer_is_finite_and_in_range(
    gamma: Gamma, x: int, seen: tuple[float, float], opened: list[float], many: bool, outcome: Outcome | None
) -> None:
    t_x, T = (0.0, seen[1]) if x == 0 else seen
    complaints = [Complaint(at, at + 0.25 if outcome else None, outcome) for at in opened]
    complaints += [Complaint(T * i / 100, T * i / 100 + 0.01) for i in range(100)] if many else []
    clock = Clock.of(Schedules.of({0: complaints}), gamma)
    for chance in (
        complaint_clock.p_alive(P, clock, x, t_x, T),
        complaint_clock.churn(P, clock, x, t_x, T, 13),
    ):
        assert ((chance >= 0) & (chance <= 1)).all()
    assert np.isfinite(complaint_clock.expected_purchases(P, clock, x, t_x, T, 13)).all()
    assert np.isfinite(complaint_clock.log_likelihood(P, clock, x, t_x, T)).all()
