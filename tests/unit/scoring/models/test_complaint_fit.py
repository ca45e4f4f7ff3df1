"""What is found of the effect of complaints in worlds whose truth is known."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from scoring.models import complaint_clock, complaint_fit, pareto_nbd
from scoring.models.arrays import Bools, Floats
from scoring.models.complaint_clock import Clock
from scoring.models.complaint_effect import NO_EFFECT, PRIOR_GAMMA, Gamma
from scoring.models.complaint_fit import ClockFit, fit_clock
from scoring.models.complaint_likelihood import CLOSING, LEAVING, NAMES, Loud, log_likelihood_with_gradient
from scoring.models.complaint_signs import History
from scoring.models.complaints import PHASES, Complaint, Schedules
from scoring.models.metrics import auc
from scoring.models.rfm import Rows, Summary
from tests.unit.scoring.models.complaint_worlds import HARM, NO_HARM, Kind, Who, World, simulate

ANSWERED: Who = "the living, and only they are answered"
SLOWING = Gamma(-1.0, -1.5, 0.3)
MAIN = {
    "only the living complain": Kind(),
    "anybody complains": Kind(who="anybody"),
    "complaints follow purchases": Kind(about_purchases=10),
    "only the living are answered": Kind(who=ANSWERED),
}
OTHER = {
    "harm fades": Kind(fading=10.0),
    "regular buying": Kind(regular=3),
    "rates are correlated": Kind(correlation=0.5),
    "complaints slow buying instead of ending it": Kind(slowing=SLOWING),
}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A world, what was found there, and P(alive) with it, and without complaints."""

    world: World
    found: ClockFit
    alive: Floats
    plain: Floats


@cache
def case(kind: Kind) -> Case:
    world = simulate(kind, 4000, 5)
    rows = world.rows
    found = fit_clock(rows, world.schedules, world.complaints)
    clock = Clock.of(world.schedules, found.gamma)
    plain = pareto_nbd.fit(rows).params
    return Case(
        world,
        found,
        complaint_clock.p_alive(found.purchase.params, clock, rows.x, rows.t_x, rows.T),
        pareto_nbd.p_alive(plain, rows.x, rows.t_x, rows.T),
    )


def better_ranked(it: Case, some: Bools) -> float:
    """By how much the AUC of P(alive) among some exceeds that of the model without complaints."""
    alive = it.world.alive[some]
    return auc(it.alive[some], alive) - auc(it.plain[some], alive)


def calibration_error(alive: Bools, chance: Floats) -> float:
    tenths = np.array_split(np.argsort(chance), 10)
    return float(sum(abs(alive[i].mean() - chance[i].mean()) * len(i) for i in tenths) / len(alive))


@pytest.mark.parametrize("name", MAIN)
def test_the_true_effect_is_found_whoever_complains(name: str) -> None:
    found = case(MAIN[name]).found
    for phase in PHASES:
        truth, estimate = getattr(HARM, phase), getattr(found.gamma, phase)
        assert abs(estimate - truth) < 0.3
        assert estimate * truth > 0
        assert abs(estimate - truth) < 4 * found.standard_errors[phase]
    assert found.p_value < 1e-6
    assert found.usable


@pytest.mark.parametrize("name", MAIN)
def test_where_complaints_have_no_effect_none_is_claimed(name: str) -> None:
    found = case(replace(MAIN[name], harm=NO_HARM)).found
    for phase in PHASES:
        assert abs(getattr(found.gamma, phase)) < 2.5 * found.standard_errors[phase]
    assert found.p_value >= 0.01
    assert found.p_assumed is not None
    assert found.p_assumed < 1e-6, "so many complaints contradict the effect assumed"
    assert found.usable


@pytest.mark.parametrize("name", MAIN)
def test_with_complaints_it_is_better_known_who_is_alive(name: str) -> None:
    it = case(MAIN[name])
    assert auc(it.alive, it.world.alive) >= 0.895
    assert better_ranked(it, np.ones(len(it.alive), dtype=np.bool_)) >= 0
    assert calibration_error(it.world.alive, it.alive) <= 0.015
    # Where anybody complains, a complaint tells nothing of life, and all that is left to know is its harm.
    assert better_ranked(it, it.world.recent) >= (0.003 if MAIN[name].who == "anybody" else 0.015)


@pytest.mark.parametrize("name", OTHER)
def test_in_worlds_unlike_the_model_the_answer_is_sane_and_still_better_than_without(name: str) -> None:
    it = case(OTHER[name])
    assert it.found.purchase.converged
    assert (np.abs(it.found.gamma.of_leaving) < 2).all()
    errors = [it.found.standard_errors[phase] for phase in PHASES]
    assert np.isfinite(errors).all()
    assert better_ranked(it, np.ones(len(it.alive), dtype=np.bool_)) > 0
    assert calibration_error(it.world.alive, it.alive) <= max(
        0.015, calibration_error(it.world.alive, it.plain)
    )


@pytest.mark.parametrize("name", ["harm fades", "regular buying", "rates are correlated"])
def test_the_sign_of_the_effect_is_right_in_worlds_unlike_the_model_too(name: str) -> None:
    gamma = case(OTHER[name]).found.gamma
    assert min(gamma.open, gamma.mishandled) > 0.3
    assert gamma.recovered < 0


def test_how_complaints_come_is_found_too() -> None:
    living, anybody, about, answered = (case(kind).found.gamma for kind in MAIN.values())
    assert living.coming_after_death < 0.05
    assert anybody.coming_after_death > 0.9
    assert living.coming_per_purchase < 1 < about.coming_per_purchase
    assert living.closing_rate == anybody.closing_rate == 0
    assert answered.closing_rate == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("closing", [-np.inf, -0.7])
def test_the_gradient_is_the_slope_of_the_likelihood(closing: float) -> None:
    world = simulate(Kind(), 300, 1)
    rows, some = world.rows, world.schedules.customer
    quiet = np.setdiff1d(np.arange(len(rows)), some)
    history = History.of(world.schedules, rows.x[some], rows.t_x[some], rows.T[some])
    split = (
        Rows(rows.x[quiet], rows.t_x[quiet], rows.T[quiet], rows.weight[quiet]),
        Loud.of(history, rows.weight[some]),
    )
    at = np.array([*np.log([0.7, 8, 1, 30]), 0.8, 1.2, -0.2, 0.2, 3.5, -1.0, -0.5, 0.3, closing])
    _, gradient = log_likelihood_with_gradient(at, *split)
    for j, move in enumerate(np.eye(len(NAMES)) * 1e-5):
        if j == CLOSING and not np.isfinite(closing):
            continue
        above, _ = log_likelihood_with_gradient(at + move, *split)
        below, _ = log_likelihood_with_gradient(at - move, *split)
        assert gradient[j] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-3), NAMES[j]


def test_what_is_assumed_where_no_effect_is_proven_serves_together_with_the_signs_of_life() -> None:
    """Only γ is ever assumed: that it is the living who complain was found in the data."""
    world = simulate(Kind(harm=NO_HARM), 4000, 5)
    rows = world.rows
    found = fit_clock(rows, world.schedules, world.complaints, assumed=NO_EFFECT)
    assert not found.usable
    purchase, gamma, errors = found.in_use
    assert gamma.of_leaving.tolist() == [0, 0, 0]
    assert gamma.coming_after_death < 0.05
    assert np.isfinite(errors["coming_after_death"])
    assert np.isnan([errors[phase] for phase in PHASES]).all(), "what is assumed has no error"
    assert purchase.converged
    assert purchase.params != found.purchase.params, "fitted with the effect assumed, not with the estimate"
    alive = complaint_clock.p_alive(
        purchase.params, Clock.of(world.schedules, gamma), rows.x, rows.t_x, rows.T
    )
    plain = pareto_nbd.fit(rows)
    without = pareto_nbd.p_alive(plain.params, rows.x, rows.t_x, rows.T)
    assert auc(alive, world.alive) > auc(without, world.alive) + 0.015
    assert calibration_error(world.alive, alive) <= max(0.015, calibration_error(world.alive, without))


@pytest.mark.parametrize("name", ["anybody complains", "complaints follow purchases"])
def test_where_complaints_tell_little_the_signs_of_life_do_no_harm(name: str) -> None:
    """Of a few customers, who made some hundreds of complaints; asked are others of the same world."""
    kind = replace(MAIN[name], harm=NO_HARM)
    world, others = simulate(kind, 400, 7), simulate(kind, 3000, 8)
    found = fit_clock(world.rows, world.schedules, 300, assumed=NO_EFFECT)
    assert not found.usable
    asked = others.rows.x, others.rows.t_x, others.rows.T
    clock = Clock.of(others.schedules, found.in_use.gamma)
    alive = complaint_clock.p_alive(found.in_use.purchase.params, clock, *asked)
    plain = pareto_nbd.p_alive(pareto_nbd.fit(world.rows).params, *asked)
    assert auc(alive, others.alive) > auc(plain, others.alive) - 0.001
    assert calibration_error(others.alive, alive) < calibration_error(others.alive, plain) + 0.005


def test_an_estimate_that_is_usable_is_in_use() -> None:
    found = case(MAIN["only the living complain"]).found
    assert found.in_use == (found.purchase, found.gamma, found.standard_errors)


def test_few_complaints_are_not_enough_to_go_by_nor_are_they_signs_of_life() -> None:
    world = simulate(Kind(), 1000, 5)
    few = fit_clock(world.rows, world.schedules, complaint_fit.ENOUGH_COMPLAINTS - 1)
    assert not few.usable
    assert few.why_not == "199 complaints are fewer than 200"
    assert few.in_use == (pareto_nbd.fit(world.rows), PRIOR_GAMMA, {})


def test_a_search_with_a_given_effect_that_comes_to_no_end_is_no_evidence_against_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have stopped far below the peak, so that the estimate seems to explain the data much better."""
    climb = complaint_fit._Search._climb

    def stuck(search: Any, data: Any, start: Floats, free: Bools, hessian: Floats) -> Any:
        found = climb(search, data, start, free, hessian)
        if free[LEAVING].any():
            return found
        return found._replace(log_likelihood=found.log_likelihood - 1000, converged=False)

    monkeypatch.setattr(complaint_fit._Search, "_climb", stuck)
    world = simulate(Kind(), 500, 5)
    found = fit_clock(world.rows, world.schedules, world.complaints)
    assert found.purchase.converged
    assert (found.statistic, found.p_value, found.p_assumed) == (0, 1, 1)
    assert not found.usable
    assert "not clear" in found.why
    assert found.in_use == (pareto_nbd.fit(world.rows), PRIOR_GAMMA, {}), "the model without complaints"


def test_without_complaints_the_fit_is_the_plain_one_and_nothing_is_claimed() -> None:
    rows = simulate(Kind(weekly=0.0), 300, 6).rows
    found = fit_clock(rows, Schedules.none(), 0)
    assert found.gamma == Gamma(0, 0, 0)
    assert found.p_value == 1
    assert found.purchase == pareto_nbd.fit(rows)


def test_complaints_of_the_very_day_of_a_purchase_have_an_effect_that_is_found(cdnow: Summary) -> None:
    """Known by the day, they come no time after it: a lag free to vanish would end no search."""
    rows, dice = cdnow.rows, np.random.default_rng(1)
    opened = {row: dice.uniform(0, rows.T[row]) for row in range(0, len(rows), 5)}
    opened |= {row: rows.t_x[row] for row in range(1, len(rows), 20)}
    complaints = {row: [Complaint(at, at + 1, "recovered")] for row, at in opened.items()}
    found = fit_clock(rows, Schedules.of(complaints), len(complaints))
    assert found.purchase.converged
    assert found.gamma.coming_lag >= 1 / 7
    assert np.isfinite(
        [found.p_value, found.standard_errors["open"], found.standard_errors["recovered"]]
    ).all()
    assert found.gamma.mishandled == PRIOR_GAMMA.mishandled, (
        "nothing was mishandled, so what is believed stays"
    )


def customers(x: list[float], t_x: list[float], T: list[float]) -> Rows:
    return Rows.of(np.array(x), np.array(t_x), np.array(T))


@pytest.mark.parametrize(
    ("rows", "complaints"),
    [
        (customers([3], [20], [30]), {0: [Complaint(22, 24, "mishandled")]}),
        (customers([0], [0], [0]), {0: [Complaint(0)]}),
        (customers([0] * 30, [0] * 30, [5] * 30), {0: [Complaint(1)], 3: [Complaint(5)]}),
        (customers([2] * 30, [4] * 30, [5] * 30), {i: [Complaint(1, 2, "recovered")] for i in range(30)}),
        (customers([400, 0], [52, 0], [52, 1e-6]), {0: [Complaint(52)], 1: [Complaint(-3, 0, "mishandled")]}),
        (customers([5, 1], [9, 2], [80, 90]), {0: [Complaint(9 + i / 3, 10 + i / 3) for i in range(100)]}),
    ],
    ids=[
        "one row",
        "no time",
        "nobody bought again",
        "all complained",
        "hundreds of purchases",
        "100 complaints",
    ],
)
@pytest.mark.parametrize("use_prior", [True, False])
def test_a_fit_to_little_or_odd_data_is_finite(
    rows: Rows, complaints: dict[int, list[Complaint]], use_prior: bool
) -> None:
    schedules = Schedules.of(complaints)
    found = fit_clock(rows, schedules, 300, use_prior=use_prior)
    assert np.isfinite(found.gamma.of_leaving).all()
    assert 0 <= found.p_value <= 1
    alive = complaint_clock.p_alive(
        found.purchase.params, Clock.of(schedules, found.gamma), rows.x, rows.t_x, rows.T
    )
    assert ((alive >= 0) & (alive <= 1)).all()
