"""When a customer is looked at again: before anything has noticeably changed, and on time for every band."""

from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring.bands.domain import BANDS, Due, band_of, next_beginning, score_due
from scoring.bands.looks import CHANCE, FEWEST_PURCHASES, LEAST_VALUE, POINTS, SHARE, next_looks
from scoring.care.domain import PUBLISHED
from scoring.facts.domain import DAY, WEEK, Felt, Spell, State
from scoring.facts.reading import instant, micros
from scoring.models.complaints import MISHANDLED, OPEN, RECOVERED
from scoring.models.crossing import crossing
from scoring.models.score import churn
from scoring.serving.figures import customers_of, figures, standings
from shared.events.scoring import Band
from shared.testing import FixedClock

NOW = FixedClock().at
HORIZON = 90


@st.composite
def states(draw: st.DrawFn) -> State:
    """Somebody who has bought, with or without complaints since, whose windows may end after now."""
    days = draw(st.integers(1, 60))
    silent = draw(st.integers(0, 200 * DAY))
    regular = draw(st.integers(DAY, 40 * DAY))
    last = micros(NOW) - silent
    felt = []
    for ticket in range(draw(st.integers(0, 2))):
        opened = last + draw(st.integers(0, silent))
        resolved = draw(st.none() | st.integers(opened, opened + 30 * DAY))
        outcome = OPEN if resolved is None else draw(st.sampled_from([OPEN, MISHANDLED, RECOVERED]))
        felt.append(Felt(bytes([ticket]), draw(st.integers(1, 3)), (Spell(opened, resolved, outcome),)))
    return State(
        purchases=days,
        days=days,
        first_at=last - (days - 1) * regular,
        last_at=last,
        spent_minor=2000 * days,
        repeat_minor=2000 * (days - 1),
        complaints=len(felt),
        recent=tuple(felt),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(states(), min_size=1, max_size=8))
def test_until_the_next_look_nothing_has_changed_noticeably(people: list[State]) -> None:
    some = customers_of(people, micros(NOW))
    now, loyal = figures(some, PUBLISHED, HORIZON / 7), standings(people, some, PUBLISHED)
    goals = np.full(len(people), np.inf)
    weeks = next_looks(some, now, loyal, goals, PUBLISHED, HORIZON / 7).weeks
    assert (weeks >= 1 / (7 * 24 * 60) - 1e-12).all()
    for row in np.flatnonzero((weeks > 1e-4) & np.isfinite(weeks)):  # a minute is waited in any case
        at = micros(NOW) + int(weeks[row] * WEEK)
        one = customers_of([people[row]], at)
        then = figures(one, PUBLISHED, HORIZON / 7)
        loyal_then = standings([people[row]], one, PUBLISHED)
        assert abs(then.churn[0] - now.churn[row]) <= CHANCE
        assert abs(then.p_alive[0] - now.p_alive[row]) <= CHANCE
        expected, value = now.expected_purchases[row], now.value_minor[row]
        assert abs(then.expected_purchases[0] - expected) <= max(SHARE * expected, FEWEST_PURCHASES)
        assert abs(then.value_minor[0] - value) <= max(SHARE * value, LEAST_VALUE) + 1
        assert abs(loyal_then.index[0] - loyal.index[row]) <= POINTS + 1e-9


def told_over_time(person: State, since: datetime, until: datetime) -> list[tuple[datetime, Band]]:
    """What the worker tells of somebody to whom nothing happens, looking only when it is to."""
    who, band = uuid4(), None
    at: datetime | None = since
    told: list[tuple[datetime, Band]] = []
    while at is not None and at <= until:
        outcome = score_due([Due(who, person, band)], PUBLISHED, HORIZON, at)
        for change in outcome.changes:
            assert change.before == band
            told.append((at, change.after))
        band, at = outcome.scores[0].band, outcome.timers[who].at
    return told


def sampled(person: State, until: datetime, every: timedelta) -> list[tuple[datetime, Band]]:
    """Which bands a dense sampling of churn gives, one after another, and when each was first seen."""
    since = person.first_at
    assert since is not None
    steps = int((until - NOW) / every) + 1
    some = customers_of([person] * steps, micros(NOW))
    instants = micros(NOW) + np.arange(steps) * int(every / timedelta(microseconds=1))
    some.T[:] = np.maximum((instants - since) / WEEK, some.T)
    found: list[tuple[datetime, Band]] = []
    band: Band | None = None
    risks = churn(some, PUBLISHED.model, HORIZON / 7)
    for at, risk in zip(instants.tolist(), risks.tolist(), strict=True):
        now = band_of(risk, band)
        if now != band:
            found.append((instant(at), now))
        band = now
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states())
def test_what_is_told_over_three_years_is_what_a_dense_sampling_of_churn_gives(
    only_bands: None, person: State
) -> None:
    until, every = NOW + timedelta(days=3 * 365), timedelta(hours=6)
    told, seen = told_over_time(person, NOW, until), sampled(person, until + every, every)
    assert [band for _, band in told] == [band for _, band in seen][: len(told)]
    assert len(told) >= sum(at < until - timedelta(seconds=1) for at, _ in seen)
    for (at, _), (first_seen, _) in zip(told, seen, strict=False):
        assert first_seen - every - timedelta(seconds=1) <= at <= first_seen + timedelta(seconds=1)


@pytest.mark.parametrize("felt", [(), (Felt(b"a", 3, (Spell(micros(NOW), micros(NOW) + DAY, MISHANDLED),)),)])
@pytest.mark.parametrize("band", BANDS[:3])
def test_a_band_is_told_within_a_second_of_its_beginning_however_often_figures_are_looked_at(
    band: Band, felt: tuple[Felt, ...]
) -> None:
    first = micros(NOW) - 90 * DAY
    person = State(
        purchases=10, days=10, first_at=first, last_at=micros(NOW), repeat_minor=900,
        complaints=len(felt), recent=felt,
    )  # fmt: skip
    goal = next_beginning(band)
    assert goal is not None
    (weeks,) = crossing(customers_of([person], micros(NOW)), PUBLISHED.model, HORIZON / 7, goal)
    begins = NOW + timedelta(weeks=weeks)
    told = told_over_time(person, begins - timedelta(hours=5), begins + timedelta(minutes=1))
    assert [band for _, band in told] == [band, BANDS[BANDS.index(band) + 1]]
    assert abs(told[-1][0] - begins) < timedelta(seconds=1)
