"""What the model says of a state is what it says of the history that the state was made of."""

from dataclasses import replace
from typing import Literal
from uuid import UUID, uuid4, uuid5

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from scoring.care.domain import PUBLISHED, Served
from scoring.facts.domain import DAY, SEVERITIES, WEEK, Complaint, Purchase, Spell, State, summarize
from scoring.facts.reading import micros
from scoring.models import complaints as model
from scoring.models.complaint_effect import Gamma
from scoring.models.complaints import PHASES, Schedules
from scoring.models.score import Customers
from scoring.models.score import score as score_of
from scoring.serving.domain import CitedComplaint, Known, Scored, scores
from scoring.serving.figures import concatenated, customers_of, figures, loyalty_of, schedules_of, standings
from scoring.serving.texts import say
from shared.testing import FixedClock

WHO = UUID(int=7)
NOW = FixedClock().at
START = micros(NOW) - 800 * DAY

days = st.integers(0, 790 * 24).map(lambda hours: hours * DAY // 24)
Outcome = Literal["recovered", "mishandled"]

SEEN_AS_SIGNS = replace(
    PUBLISHED,
    model=replace(PUBLISHED.model, gamma=Gamma(1.0, 1.5, -0.4, 0.8, 40.0, 0.1, 3.0, 1.5, closing_rate=0.2)),
)
"""A model in which complaints were estimated to be signs of life."""

models = st.sampled_from([PUBLISHED, SEEN_AS_SIGNS])


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Purchase], list[Complaint]]:
    """Purchases, and complaints that were never opened again."""
    bought = [
        Purchase(uuid5(WHO, f"order {n}"), WHO, 1, WHO, START + at, draw(st.integers(0, 10**6)), 10**5, True)
        for n, at in enumerate(draw(st.lists(days, min_size=1, max_size=6)))
    ]
    complained = []
    for n, at in enumerate(draw(st.lists(days, max_size=4))):
        resolved = draw(st.none() | st.integers(0, 300 * DAY))
        outcome = 0 if resolved is None else draw(st.integers(1, 2))
        spell = Spell(START + at, None if resolved is None else START + at + resolved, outcome)
        severity = draw(st.integers(1, 3))
        complained.append(Complaint(uuid5(WHO, f"ticket {n}"), WHO, 1, WHO, severity, True, (spell,)))
    return bought, complained


def of_history(bought: list[Purchase], complained: list[Complaint]) -> Customers:
    """The customer as the model takes them, made of the whole history."""
    first, last = min(p.ordered_at for p in bought), max(p.ordered_at for p in bought)
    purchase_days = {p.ordered_at // DAY for p in bought}
    x = len(purchase_days) - 1
    repeat = sum(p.amount_minor for p in bought if p.ordered_at // DAY != first // DAY)
    outcomes: list[Outcome | None] = [None, "mishandled", "recovered"]
    schedules = Schedules.of(
        {
            0: [
                model.Complaint(
                    (c.spells[0].opened - first) / WEEK,
                    None if c.spells[0].resolved is None else (c.spells[0].resolved - first) / WEEK,
                    outcomes[c.spells[0].outcome],
                    ("minor", "major", "critical")[c.severity - 1],
                )
                for c in complained
            ]
        }
        if complained
        else {}
    )
    T = (micros(NOW) - first) / WEEK
    return Customers.of(x, (last - first) / WEEK, T, repeat / x if x else 0.0, schedules)


@settings(max_examples=200, deadline=None)
@given(lives(), models)
def test_a_state_scores_as_its_whole_history_does(
    life: tuple[list[Purchase], list[Complaint]], served: Served
) -> None:
    bought, complained = life
    state = summarize([*bought, *complained])
    found = score_of(customers_of([state], micros(NOW)), served.model, 13.0)
    expected = score_of(of_history(bought, complained), served.model, 13.0)
    assert found.churn[0] == pytest.approx(expected.churn[0], rel=1e-9)
    assert found.p_alive[0] == pytest.approx(expected.p_alive[0], rel=1e-9)
    assert found.clv[0] == pytest.approx(expected.clv[0], rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(lives(), min_size=1, max_size=5))
def test_a_customer_scores_alike_alone_and_among_others(
    many: list[tuple[list[Purchase], list[Complaint]]],
) -> None:
    states = [summarize([*bought, *complained]) for bought, complained in many]
    people = customers_of(states, micros(NOW))
    together, loyal = figures(people, PUBLISHED, 13.0), standings(states, people, PUBLISHED)
    for row, state in enumerate(states):
        person = customers_of([state], micros(NOW))
        alone = figures(person, PUBLISHED, 13.0)
        assert together.churn[row] == pytest.approx(alone.churn[0], rel=1e-9)
        assert loyal.index[row] == standings([state], person, PUBLISHED).index[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(lives(), min_size=1, max_size=5))
def test_loyalty_is_the_same_to_the_last_digit_with_and_without_its_indicators(
    many: list[tuple[list[Purchase], list[Complaint]]],
) -> None:
    states = [summarize([*bought, *complained]) for bought, complained in many]
    people = customers_of(states, micros(NOW))
    found, whole = standings(states, people, PUBLISHED), loyalty_of(states, people, PUBLISHED)
    assert found.index.tolist() == [each.index for each in whole]
    assert found.coverage.tolist() == [each.coverage for each in whole]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(lives(), max_size=3), max_size=4))
def test_schedules_of_groups_are_those_of_all(
    groups: list[list[tuple[list[Purchase], list[Complaint]]]],
) -> None:
    states = [[summarize([*bought, *complained]) for bought, complained in group] for group in groups]
    joined = concatenated([(len(group), schedules_of(group)) for group in states])
    expected = schedules_of([state for group in states for state in group])
    for column in ("customer", "first", "start", "z", "opened"):
        assert np.array_equal(getattr(joined, column), getattr(expected, column))


def one_score(one: Known, horizon_days: int = 90, served: Served = PUBLISHED) -> Scored:
    return scores([one], served, horizon_days, 90, NOW)[0]


def known(state: State, **more: object) -> Known:
    return Known(WHO, state, None, 1, 1, more.get("purchases", []), more.get("complaints", []))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(lives(), models, st.integers(1, 3650))
def test_reasons_add_up_to_the_log_odds_of_churn(
    life: tuple[list[Purchase], list[Complaint]], served: Served, horizon_days: int
) -> None:
    found, reasons, _ = one_score(known(summarize([*life[0], *life[1]])), horizon_days, served)
    assert found is not None
    assert sum(reason.contribution for reason in reasons) == pytest.approx(found.log_odds, abs=1e-9)
    assert found.churn == special.expit(found.log_odds)
    assert reasons[-1].code == "base"


def test_where_complaints_are_signs_of_life_a_reason_says_so_and_cites_them() -> None:
    ticket = uuid4()
    bought = Purchase(WHO, WHO, 1, WHO, START, 100, 100, True)
    spell = Spell(micros(NOW) - 9 * DAY, None, 0)
    state = summarize([bought, Complaint(ticket, WHO, 1, ticket, 2, True, (spell,))])
    cited = [CitedComplaint(ticket, frozenset({0}))]
    reasons = one_score(known(state, complaints=cited), served=SEEN_AS_SIGNS).reasons
    told = {reason.code: reason for reason in reasons}
    assert told["complaint_voiced"].contribution < 0 < told["complaint_open"].contribution
    assert told["complaint_voiced"].evidence == (ticket,)
    assert (
        say(told["complaint_voiced"].said, "en")
        == "Complained 9 days ago; customers who have left seldom do."
    )
    reasons = one_score(known(state, complaints=cited)).reasons
    assert "complaint_voiced" not in {reason.code for reason in reasons}


def test_a_complaint_is_cited_for_the_phases_it_was_in() -> None:
    ticket, good, bad = Complaint, uuid4(), uuid4()
    state = summarize(
        [
            Purchase(WHO, WHO, 1, WHO, START, 100, 100, True),
            ticket(good, WHO, 1, good, 2, True, (Spell(START + DAY, micros(NOW) - 9 * DAY, 2),)),
            ticket(bad, WHO, 1, bad, 2, True, (Spell(START + DAY, micros(NOW) - 5 * DAY, 1),)),
        ]
    )
    cited = [CitedComplaint(good, frozenset({0, 2})), CitedComplaint(bad, frozenset({0, 1}))]
    reasons = one_score(known(state, complaints=cited)).reasons
    evidence = {reason.code: reason.evidence for reason in reasons}
    assert evidence["complaint_open"] == (good, bad)
    assert evidence["complaint_mishandled"] == (bad,)
    assert evidence["complaint_recovered"] == (good,)


def test_before_the_first_purchase_nothing_is_foretold() -> None:
    found, reasons, _ = one_score(known(State(registered_at=1)))
    assert found is None
    assert [reason.code for reason in reasons] == ["no_purchase_yet"]


def test_a_purchase_ahead_of_the_clock_is_taken_as_of_now() -> None:
    state = summarize([Purchase(WHO, WHO, 1, WHO, micros(NOW) + DAY, 100, 100, True)])
    people = customers_of([state], micros(NOW))
    assert (people.t_x[0], people.T[0]) == (0, 0)


def test_phases_and_severities_are_numbered_as_the_model_numbers_them() -> None:
    assert PHASES == ("open", "mishandled", "recovered")
    assert tuple(model.SEVERITIES) == SEVERITIES[1:]
