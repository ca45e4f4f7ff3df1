"""Bands: where they begin, how they are left, and what follows for a customer who is due."""

from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.bands import domain
from scoring.bands.domain import (
    BANDS,
    BEGINS,
    HYSTERESIS,
    SET_ASIDE,
    Due,
    Outcome,
    Timer,
    band_of,
    next_beginning,
    score_all,
    score_due,
)
from scoring.care.domain import PUBLISHED, Served
from scoring.facts.domain import DAY, Felt, Spell, State
from scoring.facts.reading import micros
from shared.events.scoring import Band
from shared.testing import FixedClock

NOW = FixedClock().at
bands = st.sampled_from(BANDS)
chances = st.floats(0, 1)


@pytest.mark.parametrize(
    ("churn", "band"),
    [(0.0, "low"), (0.399, "low"), (0.40, "medium"), (0.65, "high"), (0.85, "critical"), (1.0, "critical")],
)
def test_a_band_begins_at_its_threshold(churn: float, band: Band) -> None:
    assert band_of(churn, None) == band


@pytest.mark.parametrize(
    ("before", "churn", "after"),
    [
        ("high", 0.64, "high"),
        ("high", 0.60, "high"),
        ("high", 0.599, "medium"),
        ("critical", 0.81, "critical"),
        ("critical", 0.30, "low"),
        ("medium", 0.65, "high"),
        ("low", 0.90, "critical"),
    ],
)
def test_a_band_is_left_downwards_only_well_below_its_beginning(
    before: Band, churn: float, after: Band
) -> None:
    assert band_of(churn, before) == after


@given(chances, bands)
def test_a_band_once_found_is_kept_while_churn_stays(churn: float, before: Band) -> None:
    found = band_of(churn, before)
    assert band_of(churn, found) == found


@given(chances, bands)
def test_the_band_is_never_below_what_churn_says_nor_far_above(churn: float, before: Band) -> None:
    found = BANDS.index(band_of(churn, before))
    assert found >= BANDS.index(band_of(churn, None))
    assert churn >= BEGINS[found] - HYSTERESIS


@given(chances, chances, bands)
def test_less_churn_never_gives_a_higher_band(one: float, other: float, before: Band) -> None:
    low, high = sorted([one, other])
    assert BANDS.index(band_of(low, before)) <= BANDS.index(band_of(high, before))


def test_after_the_last_band_there_is_none() -> None:
    assert [next_beginning(band) for band in BANDS] == [0.40, 0.65, 0.85, None]


def due(last: int, band: Band | None = None, *, purchases: int = 10, complaint: bool = False) -> Due:
    """Somebody who bought every ten days until so many days ago."""
    at = micros(NOW) - last * DAY
    state = State(
        purchases=purchases,
        days=purchases,
        first_at=at - 10 * (purchases - 1) * DAY,
        last_at=at,
        spent_minor=100 * purchases,
        repeat_minor=100 * (purchases - 1),
        complaints=int(complaint),
        recent=(Felt(b"a", 3, (Spell(at, None, 0),)),) if complaint else (),
    )
    return Due(uuid4(), state, band)


def scored(*people: Due, served: Served = PUBLISHED) -> tuple[list[str], list[Band], list[float | None]]:
    """Bands told, bands now, days until the timers ring."""
    outcome = score_due(people, served, 90, NOW)
    timers = [outcome.timers[one.customer_id].at for one in people]
    return (
        [change.after for change in outcome.changes],
        [score.band for score in outcome.scores],
        [None if at is None else (at - NOW) / timedelta(days=1) for at in timers],
    )


def test_a_change_of_band_is_told_and_a_band_that_stays_is_not() -> None:
    told, now, _ = scored(due(1), due(1, "low"), due(1, "critical"))
    assert told == ["low", "low"]
    assert now == ["low", "low", "low"]


def test_the_timer_rings_when_the_next_band_begins(only_bands: None) -> None:
    one = due(1, "low")
    _, _, (rings,) = scored(one)
    assert rings is not None
    for seconds, band in ((-1, "low"), (0, "medium")):
        later = score_due([one], PUBLISHED, 90, NOW + timedelta(days=rings, seconds=seconds))
        assert later.scores[0].band == band


def test_a_change_by_time_alone_says_when_it_was_however_late_it_is_told(only_bands: None) -> None:
    one = due(1, "low")
    _, _, (rings,) = scored(one)
    assert rings is not None
    for late in (timedelta(0), timedelta(seconds=3), timedelta(days=2)):
        now = NOW + timedelta(days=rings) + late
        (change,) = score_due([one], PUBLISHED, 90, now).changes
        assert change.crossed_at is not None
        assert abs(change.crossed_at - (now - late)) < timedelta(seconds=1)


def test_bands_passed_while_nobody_looked_are_told_as_one_change_into_the_last() -> None:
    (change,) = score_due([due(1, "low")], PUBLISHED, 90, NOW + timedelta(days=700)).changes
    assert change.after == "critical"
    assert change.crossed_at is not None
    assert NOW < change.crossed_at < NOW + timedelta(days=600)
    at = score_due([due(1, "high")], PUBLISHED, 90, change.crossed_at + timedelta(seconds=1))
    assert at.scores[0].band == "critical"


def test_a_change_that_an_event_made_was_not_crossed_by_time() -> None:
    opened = (Felt(b"a", 3, (Spell(micros(NOW), None, 0),)),)
    complained, bought = due(34, "low"), due(1, "critical")
    fresh = complained._replace(state=msgspec.structs.replace(complained.state, complaints=1, recent=opened))
    changes = score_due([fresh, bought], PUBLISHED, 90, NOW).changes
    assert [(change.before, change.crossed_at) for change in changes] == [("low", None), ("critical", None)]


def test_time_stands_still_until_a_purchase_of_a_clock_that_is_ahead(only_bands: None) -> None:
    one = due(-2, "low")
    _, _, (rings,) = scored(one)
    _, _, (after,) = scored(due(0, "low"))
    assert rings is not None
    assert after is not None
    assert rings == pytest.approx(after + 2, abs=1e-5)


def test_a_complaint_makes_the_timer_ring_earlier(only_bands: None) -> None:
    _, _, (plain, complained) = scored(due(1, "low"), due(1, "low", complaint=True))
    assert plain is not None
    assert complained is not None
    assert complained < plain


def test_in_the_last_band_no_timer_rings(only_bands: None) -> None:
    _, now, timers = scored(due(700))
    assert now == ["critical"]
    assert timers == [None]


def test_who_has_no_purchase_left_has_no_score_and_no_timer() -> None:
    nobody = Due(uuid4(), State(registered_at=1, complaints=1), "high")
    outcome = score_due([nobody, due(1)], PUBLISHED, 90, NOW)
    assert outcome.gone == [nobody.customer_id]
    assert outcome.timers[nobody.customer_id].at is None
    assert len(outcome.scores) == 1


def test_a_customer_whose_score_cannot_be_computed_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    due = [Due(uuid4(), State(), None) for _ in range(7)]
    broken = due[3].customer_id

    def score(some: list[Due], *_: object) -> Outcome:
        if broken in [one.customer_id for one in some]:
            raise ArithmeticError("not a number")
        return Outcome(gone=[one.customer_id for one in some])

    monkeypatch.setattr(domain, "score_due", score)
    outcome = score_all(due, PUBLISHED, 90, NOW)
    assert set(outcome.gone) == {one.customer_id for one in due} - {broken}
    assert set(outcome.failures) == {broken}
    assert outcome.timers == {broken: Timer(NOW + SET_ASIDE)}
