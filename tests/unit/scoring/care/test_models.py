"""Models: what is served before a fit, what a fit makes of many or few customers, when the next is due."""

from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest

from scoring.care import domain
from scoring.care.domain import (
    PUBLISHED,
    ComplaintEffect,
    Served,
    as_deployed,
    fitted,
    is_due,
    of_row,
    to_row,
)
from scoring.models.complaint_effect import NO_EFFECT, PRIOR_GAMMA, Gamma
from scoring.models.complaints import Complaint, Schedules
from scoring.models.score import Customers
from shared.errors import Conflict
from shared.testing import FixedClock
from tests.unit.scoring.models.complaint_worlds import HARM, NO_HARM, Kind, simulate

NOW = FixedClock().at


def fit(people: Customers, complaints: int = 0, assumed: Gamma = PRIOR_GAMMA, *, version: int = 1) -> Served:
    return domain.fit(people, complaints, assumed, version=version, at=NOW)


def population(customers: int, *, complaints: int = 0) -> Customers:
    dice = np.random.default_rng(5)
    T = dice.uniform(20, 80, customers)
    x = dice.poisson(dice.gamma(0.9, 1 / 6, customers) * T).astype(float)
    t_x = np.where(x > 0, T * dice.uniform(0.2, 1, customers), 0.0)
    complained = {row: [Complaint(1.0, 2.0, "recovered")] for row in range(min(complaints, customers))}
    amounts = np.where(x > 0, dice.uniform(500, 5000, customers), 0.0)
    return Customers.of(x, t_x, T, amounts, Schedules.of(complained) if complained else None)


def test_before_any_fit_the_published_values_are_served_in_minor_units() -> None:
    assert PUBLISHED.prior_driven
    assert PUBLISHED.name == "pareto_nbd-0"
    assert PUBLISHED.model.spend.gamma == pytest.approx(1544)
    assert list(PUBLISHED.rate_quantiles) == sorted(PUBLISHED.rate_quantiles)
    assert np.isfinite(PUBLISHED.rate_quantiles).all()


def test_a_model_is_stored_and_read_back_as_it_was() -> None:
    for complaints in (0, 250):
        served = fit(population(300, complaints=complaints), complaints, version=3)
        assert of_row(to_row(served, published=True, why="better")) == served
        assert fitted(served).model == "pareto_nbd-3"


def test_few_repeat_buyers_make_a_fit_prior_driven() -> None:
    assert fit(population(20)).prior_driven
    assert not fit(population(300)).prior_driven


def test_of_few_complaints_no_effect_is_estimated() -> None:
    few = fit(population(300, complaints=199), 199)
    assert few.complaint_effect is None
    assert few.model.gamma == PRIOR_GAMMA


def complaining(harm: Gamma) -> tuple[Customers, int]:
    world = simulate(Kind(harm=harm, weekly=0.05), 1000, 3)
    rows = world.rows
    return Customers.of(rows.x, rows.t_x, rows.T, 0.0, world.schedules), world.complaints


def test_a_clear_effect_of_complaints_is_shown_with_its_evidence_and_used() -> None:
    served = fit(*complaining(HARM))
    effect = served.complaint_effect
    assert effect is not None
    assert effect.used
    assert effect.complaints > 200
    assert effect.p_value < 0.01
    assert effect.gamma == asdict(served.model.gamma) == served.parameters["complaints"]
    assert 0.5 < served.model.gamma.mishandled < 2.5
    assert of_row(to_row(served, published=True, why="better")) == served


def test_an_effect_that_is_not_clear_is_shown_and_the_one_assumed_serves() -> None:
    """That nothing happens explains the data as well as the estimate does."""
    served = fit(*complaining(NO_HARM), NO_EFFECT)
    assert served.complaint_effect is not None
    assert not served.complaint_effect.used
    assert served.complaint_effect.why.startswith("p = ")
    assert served.model.gamma.of_leaving.tolist() == NO_EFFECT.of_leaving.tolist()
    assert served.model.gamma.coming_after_death < 0.1, "what complaints tell was estimated all the same"
    assert of_row(to_row(served, published=True, why="better")) == served


def test_an_assumed_effect_that_the_data_contradict_serves_no_more() -> None:
    served = fit(*complaining(NO_HARM), PRIOR_GAMMA)
    effect = served.complaint_effect
    assert effect is not None
    assert effect.p_value >= 0.01
    assert effect.p_assumed is not None
    assert effect.p_assumed < 0.01
    assert effect.used
    assert effect.why.startswith("the data contradict the effect assumed")
    assert effect.gamma == asdict(served.model.gamma)
    assert of_row(to_row(served, published=True, why="better")) == served


def test_before_any_fit_the_effect_is_the_deployment_s_own_and_a_fit_keeps_the_one_it_was_made_with() -> None:
    mine = Gamma(0.5, 1.0, 0.1)
    assert as_deployed(PUBLISHED, 0.3, mine).model.gamma == mine
    few = fit(population(300, complaints=199), 199, mine)
    assert as_deployed(few, 0.3, PRIOR_GAMMA).model.gamma == mine


def test_a_model_stored_before_complaints_could_be_signs_of_life_is_still_read() -> None:
    row = to_row(fit(population(300), version=3), published=True, why="better")
    row.parameters = row.parameters | {"complaints": {"open": 1.5, "mishandled": 2.0, "recovered": 0.3}}
    row.complaint_effect = {
        "gamma": {"open": 0.2, "mishandled": 0.1, "recovered": 0.3},
        "standard_errors": {"open": 0.2, "mishandled": None, "recovered": 0.1},
        "statistic": 1.0,
        "p_value": 0.8,
        "used": False,
    }
    served = of_row(row)
    assert served.model.gamma == PRIOR_GAMMA
    assert served.complaint_effect is not None
    assert served.complaint_effect.complaints == 0
    assert "not used" in served.complaint_effect.why


def test_a_model_without_a_second_test_is_stored_as_before_and_what_later_releases_add_is_passed_over() -> (
    None
):
    """While a release is rolled out, or taken back, two of them compute scores with one model."""
    effect = ComplaintEffect({"open": 1.4}, {"open": 0.2}, 40.0, 1e-8, used=True, why="clear", complaints=300)
    row = to_row(replace(fit(population(300)), complaint_effect=effect), published=True, why="better")
    assert row.complaint_effect is not None
    assert row.complaint_effect.keys() == {
        "gamma", "standard_errors", "statistic", "p_value", "used", "why", "complaints"
    }  # fmt: skip
    row.complaint_effect |= {"of_a_later_release": 1.0}
    assert of_row(row).complaint_effect == effect


def test_without_a_repeat_purchase_the_published_amounts_stay() -> None:
    once = Customers.of(np.zeros(9), 0.0, np.arange(9) + 1.0)
    served = fit(once)
    assert served.model.spend == PUBLISHED.model.spend
    assert all(value > 0 for value in served.parameters["purchase"].values())


def test_nobody_to_fit_to_is_refused() -> None:
    nobody = Customers.of([], [], [])
    with pytest.raises(Conflict, match="nothing to fit"):
        fit(nobody)


def test_the_margin_is_the_deployments_own() -> None:
    assert as_deployed(PUBLISHED, 0.5, PRIOR_GAMMA).model.terms.margin == 0.5


def test_a_model_is_due_again_after_its_time() -> None:
    served = replace(PUBLISHED, version=1, fitted_at=NOW)
    assert is_due(PUBLISHED, 24, NOW)
    assert not is_due(served, 24, NOW + timedelta(hours=23))
    assert is_due(served, 24, NOW + timedelta(hours=24))
