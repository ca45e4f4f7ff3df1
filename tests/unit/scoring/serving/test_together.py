"""Scores that are computed together are what each would be alone, and reach whom they are of."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.care.domain import PUBLISHED, Served
from scoring.facts.domain import DAY, Complaint, Fact, Purchase, Spell, summarize
from scoring.facts.reading import micros
from scoring.models.calibration import Calibrator
from scoring.serving import together
from scoring.serving.domain import Known, Scored, scores
from scoring.serving.together import Asked, Together
from shared.testing import FixedClock

WHO = UUID(int=7)
NOW = FixedClock().at
START = micros(NOW) - 800 * DAY
BAND_DAYS = 90
CALIBRATED = replace(PUBLISHED, model=replace(PUBLISHED.model, calibrator=Calibrator(0.1, 1.07)))

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


async def _ask(asked: Sequence[Asked]) -> list[tuple[Scored, datetime]]:
    room = Together(BAND_DAYS)
    return await asyncio.gather(*(room.score(one) for one in asked))


@settings(max_examples=60, deadline=None)
@given(people(), st.sampled_from([PUBLISHED, CALIBRATED]), st.booleans(), st.sampled_from([30, BAND_DAYS]))
def test_a_score_is_to_the_last_bit_what_it_is_alone(
    known: list[Known], served: Served, with_intervals: bool, horizon: int
) -> None:
    found = asyncio.run(_ask([Asked(one, served, horizon, with_intervals, NOW) for one in known]))
    for one, (scored, as_of) in zip(known, found, strict=True):
        alone = scores([one], served, horizon, BAND_DAYS, as_of, with_intervals=with_intervals)
        assert [scored] == alone


def _buyers(count: int) -> list[Known]:
    return [
        Known(uuid5(WHO, str(n)), summarize([_bought(uuid5(WHO, str(n)), n)]), None, 0, 0, [WHO], [])
        for n in range(count)
    ]


def _bought(who: UUID, day: int) -> Purchase:
    return Purchase(uuid5(who, "order"), who, 1, WHO, START + day * DAY, 1000, 1000, True)


def test_all_are_as_of_the_latest_moment_that_was_asked_for() -> None:
    asked = [
        Asked(one, PUBLISHED, BAND_DAYS, False, NOW + timedelta(milliseconds=n))
        for n, one in enumerate(_buyers(3))
    ]
    assert {as_of for _, as_of in asyncio.run(_ask(asked))} == {NOW + timedelta(milliseconds=2)}


def test_different_questions_get_different_answers() -> None:
    (one,) = _buyers(1)
    soon, later = asyncio.run(
        _ask([Asked(one, PUBLISHED, 30, False, NOW), Asked(one, PUBLISHED, 300, True, NOW)])
    )
    assert soon[0].score is not None
    assert later[0].score is not None
    assert soon[0].score.churn > later[0].score.churn
    assert (soon[0].intervals is None, later[0].intervals is None) == (True, False)


def test_what_goes_wrong_is_told_to_all_who_wait_and_to_nobody_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> list[Scored]:
        raise ArithmeticError("no number")

    async def ask() -> None:
        room, asked = Together(BAND_DAYS), [Asked(one, PUBLISHED, 30, False, NOW) for one in _buyers(2)]
        with monkeypatch.context() as patched:
            patched.setattr(together, "scores", broken)
            found = await asyncio.gather(*(room.score(one) for one in asked), return_exceptions=True)
        assert [type(one) for one in found] == [ArithmeticError, ArithmeticError]
        assert (await room.score(asked[0]))[0].score is not None

    asyncio.run(ask())


def test_who_goes_away_is_in_nobodys_way() -> None:
    async def ask() -> None:
        room, asked = Together(BAND_DAYS), [Asked(one, PUBLISHED, 30, False, NOW) for one in _buyers(2)]
        gone, waits = (asyncio.ensure_future(room.score(one)) for one in asked)
        await asyncio.sleep(0)  # both have asked
        gone.cancel()
        assert (await waits)[0].score is not None
        assert gone.cancelled()

    asyncio.run(ask())
