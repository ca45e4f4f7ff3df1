"""The state is what the facts add up to, in whichever order, how often and how late they came."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.facts import domain
from scoring.facts.counting import FactKey, count
from scoring.facts.domain import (
    DAY,
    EMPTY,
    FOREVER,
    MANY,
    WEEK,
    Complaint,
    Fact,
    Felt,
    Piece,
    Purchase,
    Registration,
    Spell,
    State,
    encode,
    pieces,
    severities,
    summarize,
    windows,
)
from scoring.models.complaints import MISHANDLED, OPEN, RECOVERED

WHO = UUID(int=7)
START = 20_000 * DAY


def name(kind: str, number: int) -> UUID:
    return uuid5(WHO, f"{kind} {number}")


def purchase(number: int, at: int, amount: int = 500, *, version: int = 1, counts: bool = True) -> Purchase:
    event = name("order event", 100 * number + version)
    return Purchase(name("order", number), WHO, version, event, START + at, amount, 500, counts)


def complaint(
    number: int,
    *spells: tuple[int, int | None, int],
    version: int = 1,
    severity: int = 2,
    counts: bool = True,
) -> Complaint:
    shifted = tuple(
        Spell(START + opened, None if resolved is None else START + resolved, outcome)
        for opened, resolved, outcome in spells
    )
    event = name("ticket event", 100 * number + version)
    return Complaint(name("ticket", number), WHO, version, event, severity, counts, shifted)


def deliver(batches: Sequence[Sequence[Fact]]) -> State:
    """The state after these batches, as the handler makes it; the database is two dictionaries."""
    known: dict[FactKey, Fact] = {}
    states: dict[UUID, State] = {}
    for batch in batches:
        counted = count(states, known, batch)
        known |= counted.latest
        counted.rebuild({WHO: list(known.values())} if counted.late else {})
        states |= counted.states
    return states.get(WHO, EMPTY)


# Few instants, some of them the same, some a day, some months apart, so that all borders are met.
instants = st.one_of(
    st.integers(0, 6).map(lambda days: days * DAY // 2),
    st.integers(0, 60).map(lambda weeks: weeks * WEEK),
    st.integers(0, 400 * DAY),
)


@st.composite
def order_history(draw: st.DrawFn, number: int) -> list[Purchase]:
    at, amount = draw(instants), draw(st.integers(0, 1000))
    history = [purchase(number, at, amount)]
    if draw(st.booleans()):
        history.append(purchase(number, at, amount, version=2))
    if draw(st.booleans()):
        history.append(purchase(number, at, amount, version=3, counts=False))
    if draw(st.integers(0, 9)) == 0:
        history.append(purchase(number, draw(instants), draw(st.integers(0, 1000)), version=4))
    return history


@st.composite
def ticket_history(draw: st.DrawFn, number: int) -> list[Complaint]:
    severity, counts = draw(st.integers(1, 3)), draw(st.integers(0, 4)) > 0
    times = draw(st.lists(instants, min_size=1, max_size=5))
    if draw(st.integers(0, 4)):  # else the desk's clocks differ
        times.sort()
    history: list[Complaint] = []
    spells: list[tuple[int, int | None, int]] = []
    for place, at in enumerate(times):
        if place % 2 == 0:
            spells.append((at, None, OPEN))
        else:
            spells[-1] = (spells[-1][0], at, draw(st.sampled_from([OPEN, MISHANDLED, RECOVERED])))
        history.append(complaint(number, *spells, version=place + 1, severity=severity, counts=counts))
    if draw(st.integers(0, 9)) == 0:
        history.append(complaint(number, *spells, version=9, severity=draw(st.integers(1, 3)), counts=True))
    return history


@st.composite
def histories(draw: st.DrawFn) -> list[list[Fact]]:
    found: list[list[Fact]] = [list(draw(order_history(number))) for number in range(draw(st.integers(0, 6)))]
    found += [list(draw(ticket_history(number))) for number in range(draw(st.integers(0, 4)))]
    if draw(st.booleans()):
        found.append([Registration(WHO, WHO, 1, name("customer event", 1), START - draw(instants))])
    return found


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Fact], list[list[Fact]]]:
    """A customer's facts as they are in the end, and everything ever said of them, anyhow, in batches."""
    told = draw(histories())
    flat = [fact for history in told for fact in history]
    repeated = flat + (draw(st.lists(st.sampled_from(flat), max_size=6)) if flat else [])
    shuffled = draw(st.permutations(repeated))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    ends = [*cuts, len(shuffled)]
    batches = [shuffled[begin:end] for begin, end in zip([0, *cuts], ends, strict=True)]
    return [history[-1] for history in told], batches


@settings(max_examples=300, deadline=None)
@given(arrivals())
def test_any_order_repetition_and_lateness_gives_the_same_bytes(
    case: tuple[list[Fact], list[list[Fact]]],
) -> None:
    newest, batches = case
    assert encode(deliver(batches)) == encode(summarize(newest))


@settings(max_examples=100, deadline=None)
@given(arrivals())
def test_one_event_at_a_time_gives_the_same_bytes(case: tuple[list[Fact], list[list[Fact]]]) -> None:
    newest, batches = case
    assert encode(deliver([[fact] for batch in batches for fact in batch])) == encode(summarize(newest))


@settings(max_examples=100, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_topics_that_keep_their_own_order_interleave_to_the_same_bytes(
    told: list[list[Fact]], dice: object
) -> None:
    left = [list(history) for history in told]
    order: list[Fact] = []
    while any(left):
        history = dice.choice([each for each in left if each])  # type: ignore[attr-defined]
        order.append(history.pop(0))
    assert encode(deliver([order])) == encode(summarize([history[-1] for history in told]))


@settings(max_examples=100, deadline=None)
@given(histories())
def test_the_state_is_what_its_fields_say(told: list[list[Fact]]) -> None:
    facts = [history[-1] for history in told]
    bought = [f for f in facts if isinstance(f, Purchase) and f.counts]
    complained = [f for f in facts if isinstance(f, Complaint) and f.counts]
    state = summarize(facts)
    assert state.purchases == len(bought)
    assert state.spent_minor == sum(f.amount_minor for f in bought)
    assert state.discounted == sum(f.amount_minor < 500 for f in bought)
    assert state.days == len({f.ordered_at // DAY for f in bought})
    assert state.first_at == min((f.ordered_at for f in bought), default=None)
    assert state.last_at == max((f.ordered_at for f in bought), default=None)
    assert state.complaints == len(complained)
    if state.first_at is None or state.last_at is None:
        assert state.exposure == ()
        assert len(state.recent) == len(complained)
        return
    first_day, last_at, first_at = state.first_at // DAY, state.last_at, state.first_at
    assert state.repeat_minor == sum(f.amount_minor for f in bought if f.ordered_at // DAY != first_day)
    assert state.forgiven == sum(f.spells[0].opened < last_at for f in complained)
    assert dict(state.exposure) == exposure_by_definition(complained, first_at, last_at)


def exposure_by_definition(complained: list[Complaint], since: int, until: int) -> dict[int, int]:
    """Between any two borders the mood is that of the middle."""
    felt = [window for c in complained for window in windows(Felt(c.id.bytes, c.severity, c.spells))]
    borders = sorted({since, until, *(t for w in felt for t in (w.start, w.end) if since < t < until)})
    total: dict[int, int] = {}
    for begin, end in pairwise(borders):
        now = [w for w in felt if w.start <= begin and end <= w.end]
        mood = sum(max((w.severity for w in now if w.phase == p), default=0) << 2 * p for p in range(3))
        if mood:
            total[mood] = total.get(mood, 0) + end - begin
    return total


def test_a_state_reads_back_as_it_was_written() -> None:
    state = summarize([purchase(1, 0), complaint(1, (DAY, None, OPEN))])
    assert domain.decode(encode(state)) == state


def test_two_orders_on_one_day_are_one_purchase_day() -> None:
    state = summarize([purchase(1, 0, 100), purchase(2, DAY // 2, 50), purchase(3, DAY, 20)])
    assert (state.purchases, state.days, state.spent_minor, state.repeat_minor) == (3, 2, 170, 20)


def test_a_cancelled_order_leaves_no_trace() -> None:
    cancelled = [purchase(1, 0), purchase(2, DAY), purchase(2, DAY, version=2, counts=False)]
    assert encode(deliver([cancelled])) == encode(summarize([purchase(1, 0)]))


def test_completing_an_order_changes_nothing() -> None:
    known: dict[FactKey, Fact] = {(Purchase, purchase(1, 0).id): purchase(1, 0)}
    counted = count({WHO: summarize([purchase(1, 0)])}, known, [purchase(1, 0, version=2)])
    assert not counted.states
    assert not counted.late


def test_a_fact_of_an_older_version_is_passed_over() -> None:
    assert deliver([[purchase(1, 0, version=2, counts=False)], [purchase(1, 0)]]) == EMPTY


def test_an_order_in_time_is_counted_without_looking_back() -> None:
    state = summarize([purchase(1, 0), complaint(1, (0, 5 * DAY, MISHANDLED))])
    counted = count({WHO: state}, {}, [purchase(2, 7 * DAY)])
    assert not counted.late


def test_a_late_order_needs_all_facts() -> None:
    assert count({WHO: summarize([purchase(2, 7 * DAY)])}, {}, [purchase(1, 0)]).late == {WHO}


def test_a_complaint_resolved_after_the_last_purchase_is_counted_without_looking_back() -> None:
    before = complaint(1, (DAY, None, OPEN))
    state = summarize([purchase(1, 0), purchase(2, 3 * DAY), before])
    after = complaint(1, (DAY, 4 * DAY, RECOVERED), version=2)
    counted = count({WHO: state}, {(Complaint, before.id): before}, [after])
    assert not counted.late
    assert encode(counted.states[WHO]) == encode(summarize([purchase(1, 0), purchase(2, 3 * DAY), after]))


def test_a_complaint_is_forgiven_by_the_next_purchase_only() -> None:
    state = summarize([purchase(1, 0), complaint(1, (DAY, None, OPEN)), complaint(2, (9 * DAY, None, OPEN))])
    assert (state.complaints, state.forgiven) == (2, 0)
    after = domain.apply(state, None, purchase(2, 5 * DAY))
    assert after is not None
    assert (after.complaints, after.forgiven) == (2, 1)


def test_tickets_that_are_no_complaints_do_not_count() -> None:
    assert deliver([[complaint(1, (0, None, OPEN), counts=False)]]) == EMPTY


def test_overlapping_complaints_count_once_with_the_gravest_severity() -> None:
    felt = [
        Felt(b"a", 1, (Spell(0, 10, MISHANDLED),)),
        Felt(b"b", 3, (Spell(4, None, OPEN),)),
    ]
    found = [(p.start, p.end, severities(p.mood)) for p in pieces(felt, 0, 20)]
    assert found == [(0, 4, (1, 0, 0)), (4, 10, (3, 0, 0)), (10, 20, (3, 1, 0))]


@given(st.lists(ticket_history(1), max_size=6), instants, instants | st.just(FOREVER))
def test_many_complaints_make_the_moods_that_each_of_them_repeated_makes(
    told: list[list[Complaint]], since: int, until: int
) -> None:
    felt = [Felt(n.to_bytes(16), h[-1].severity, h[-1].spells) for n, h in enumerate(told)]
    begin, end = START + since, until if until == FOREVER else START + until
    few, many = pieces(felt, begin, end), pieces(felt * (MANY + 1), begin, end)
    joined: list[Piece] = []
    for piece in few:
        if joined and joined[-1].end == piece.start and joined[-1].mood == piece.mood:
            joined[-1] = joined[-1]._replace(end=piece.end)
        else:
            joined.append(piece)
    assert many == joined


def test_a_window_ends_when_the_complaint_is_opened_again() -> None:
    felt = Felt(b"a", 2, (Spell(0, 10, MISHANDLED), Spell(30, None, OPEN)))
    assert [(w.start, w.end, w.phase) for w in windows(felt)] == [
        (0, 10, OPEN),
        (10, 30, MISHANDLED),
        (30, FOREVER, OPEN),
    ]


def test_a_thing_of_another_customer_is_refused() -> None:
    mine = purchase(1, 0)
    theirs = Purchase(mine.id, UUID(int=8), 2, mine.event_id, mine.ordered_at, 1, 1, True)
    with pytest.raises(ValueError, match="belongs to customer"):
        count({}, {(Purchase, mine.id): mine}, [theirs])
