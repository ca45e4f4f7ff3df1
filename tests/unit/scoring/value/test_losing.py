"""What losing a customer costs: every factor, and where it comes from."""

from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from scoring.care.domain import PUBLISHED, as_deployed
from scoring.facts.domain import DAY, State
from scoring.facts.reading import micros
from scoring.models.complaint_effect import PRIOR_GAMMA
from scoring.settings import ScoringSettings
from scoring.value.losing import LONGEST_YEARS, TEXTS, Factors, loss
from shared.testing import FixedClock

NOW = FixedClock().at
NOT_ASKED = Factors()
SET = Factors(weeks_per_year=52, told=10, heeding_share=0.5, retold_to=5, leaving_share=0.25)
SERVED = as_deployed(PUBLISHED, 0.3, PRIOR_GAMMA)
NOBODY = State()


def bought(first: int, last: int, days: int, amount: int = 5000) -> State:
    return State(
        purchases=days,
        days=days,
        spent_minor=days * amount,
        repeat_minor=(days - 1) * amount,
        first_at=micros(NOW) - first * DAY,
        last_at=micros(NOW) - last * DAY,
    )


WEEKLY = bought(first=700, last=7, days=100)


@pytest.mark.parametrize(("told", "total"), [(10, 22_100_000), (20, 41_600_000)])
def test_mrs_smith_s_sum(told: float, total: int) -> None:
    asked = Factors(spend_per_week_minor=5000, years=10, told=told)
    found = loss(WEEKLY, SERVED, asked, SET, NOW)
    assert (found.own_minor, found.total_minor) == (2_600_000, total)
    assert found.others_minor == total - 2_600_000
    assert found.total_margin_minor == round(0.3 * total)


def test_every_factor_may_be_set_for_one_customer() -> None:
    asked = Factors(100, 10, 2, 4, 0.5, 1, 0.25)
    found = loss(WEEKLY, SERVED, asked, SET, NOW)
    assert {name: factor.value for name, factor in found.factors.items()} == asdict(asked)
    assert {factor.source for factor in found.factors.values()} == {"request"}
    assert (found.own_minor, found.others, found.total_minor) == (2000, 1.0, 4000)


def test_every_factor_says_where_it_comes_from() -> None:
    found = loss(WEEKLY, SERVED, Factors(told=3), SET, NOW)
    assert {name: factor.source for name, factor in found.factors.items()} == {
        "spend_per_week_minor": "customer",
        "weeks_per_year": "setting",
        "years": "model",
        "told": "request",
        "heeding_share": "setting",
        "retold_to": "setting",
        "leaving_share": "setting",
    }
    assert set(found.factors) == set(TEXTS)
    assert all(factor.text for factor in found.factors.values())


def test_the_deployment_may_set_spending_and_years_for_everybody() -> None:
    found = loss(WEEKLY, SERVED, NOT_ASKED, replace(SET, spend_per_week_minor=700, years=3), NOW)
    assert found.own_minor == 700 * 52 * 3
    assert found.factors["years"].source == found.factors["spend_per_week_minor"].source == "setting"


def test_own_spending_is_that_from_the_first_purchase_to_the_last() -> None:
    spend = loss(WEEKLY, SERVED, NOT_ASKED, SET, NOW).factors["spend_per_week_minor"].value
    assert spend == pytest.approx(99 * 5000 / 99)


def test_a_short_history_is_left_to_the_model() -> None:
    spend = loss(bought(30, 2, 8), SERVED, NOT_ASKED, SET, NOW).factors["spend_per_week_minor"]
    assert spend.source == "model"
    assert spend.value is not None
    assert 0 < spend.value < 8 * 5000 / 4


def test_who_has_probably_left_already_costs_less_to_lose() -> None:
    found = [
        loss(bought(700, last, 20), SERVED, NOT_ASKED, SET, NOW).factors["years"].value for last in (7, 400)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert 0 < found[1] < found[0] <= LONGEST_YEARS


def test_years_become_fewer_while_nothing_is_bought() -> None:
    now = loss(WEEKLY, SERVED, NOT_ASKED, SET, NOW)
    later = loss(WEEKLY, SERVED, NOT_ASKED, SET, NOW + timedelta(days=100))
    assert later.total_minor is not None
    assert now.total_minor is not None
    assert later.total_minor < now.total_minor


def test_before_the_first_purchase_the_sum_waits_for_spending_and_years() -> None:
    found = loss(NOBODY, SERVED, NOT_ASKED, SET, NOW)
    assert (found.own_minor, found.others_minor, found.total_minor, found.total_margin_minor) == (None,) * 4
    assert found.others == 7.5
    for name in ("spend_per_week_minor", "years"):
        factor = found.factors[name]
        assert (factor.value, factor.source) == (None, None)
        assert "Nothing has been bought yet" in factor.text
    asked = Factors(spend_per_week_minor=5000, years=10)
    assert loss(NOBODY, SERVED, asked, SET, NOW).total_minor == 22_100_000


def test_nothing_heard_and_nothing_spent_are_numbers_too() -> None:
    assert loss(WEEKLY, SERVED, Factors(told=0), SET, NOW).others_minor == 0
    assert loss(WEEKLY, SERVED, Factors(spend_per_week_minor=0), SET, NOW).total_minor == 0


def test_the_settings_are_mrs_smith_s_unless_told_otherwise() -> None:
    fields = ScoringSettings.model_fields
    assert {name: fields[f"loss_{name}"].default for name in asdict(SET)} == asdict(SET)
