"""Scores that are computed together are what each would be alone."""

from dataclasses import replace
from uuid import UUID, uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.care.domain import PUBLISHED, Served
from scoring.facts.domain import DAY, Complaint, Fact, Purchase, Spell, summarize
from scoring.facts.reading import micros
from scoring.models.calibration import Calibrator
from scoring.models.complaint_effect import Gamma
from scoring.serving.domain import Known, scores
from scoring.serving.together import Question, score_alike
from shared.testing import FixedClock

WHO = UUID(int=7)
NOW = FixedClock().at
START = micros(NOW) - 800 * DAY
BAND_DAYS = 90
SIGNS_OF_LIFE = replace(
    PUBLISHED,
    model=replace(PUBLISHED.model, gamma=Gamma(1.0, 1.5, -0.4, 0.8, 40.0, 0.1, 3.0, 1.5, closing_rate=0.2)),
)
CALIBRATED = replace(PUBLISHED, model=replace(PUBLISHED.model, calibrator=Calibrator(0.1, 1.07)))
MODELS = [PUBLISHED, CALIBRATED, SIGNS_OF_LIFE]

instants = st.integers(START, START + 790 * DAY)


@st.composite
def people(draw: st.DrawFn) -> list[Known]:
    """Some who never bought, some who did, some who complained, openly or not."""
    found = []
    for n in range(draw(st.integers(1, 12))):
        who = uuid5(WHO, f"customer {n}")
        facts: list[Fact] = [
            Purchase(uuid5(who, f"order {m}"), who, 1, WHO, at, draw(st.integers(0, 10**6)), 10**6, True)
            for m, at in enumerate(draw(st.lists(instants, max_size=6)))
        ]
        for m, at in enumerate(draw(st.lists(instants, max_size=2))):
            spell = Spell(at, draw(st.none() | st.just(at + 9 * DAY)), 0)
            spell = spell if spell.resolved is None else spell._replace(outcome=draw(st.integers(1, 2)))
            facts.append(Complaint(uuid5(who, f"ticket {m}"), who, 1, WHO, 2, True, (spell,)))
        found.append(Known(who, summarize(facts), None, 0, 0, [WHO], []))
    return found


@settings(max_examples=60, deadline=None)
@given(
    people(),
    st.sampled_from([PUBLISHED, CALIBRATED, SIGNS_OF_LIFE]),
    st.booleans(),
    st.sampled_from([30, BAND_DAYS]),
)
def test_a_score_is_to_the_last_bit_what_it_is_alone(
    known: list[Known], served: Served, with_intervals: bool, horizon: int
) -> None:
    asked = [(one, Question(one.customer_id, horizon, with_intervals, NOW)) for one in known]
    for one, scored in zip(known, score_alike(asked, served, BAND_DAYS, NOW), strict=True):
        alone = scores([one], served, horizon, BAND_DAYS, NOW, with_intervals=with_intervals)
        assert [scored] == alone


def test_different_questions_about_one_customer_get_different_answers() -> None:
    one = Known(WHO, summarize([_bought()]), None, 0, 0, [WHO], [])
    soon, later = score_alike(
        [(one, Question(WHO, 30, False, NOW)), (one, Question(WHO, 300, True, NOW))],
        PUBLISHED,
        BAND_DAYS,
        NOW,
    )
    assert soon.score is not None
    assert later.score is not None
    assert soon.score.churn > later.score.churn
    assert (soon.intervals is None, later.intervals is None) == (True, False)


def _bought() -> Purchase:
    return Purchase(uuid5(WHO, "order"), WHO, 1, WHO, START, 1000, 1000, True)
