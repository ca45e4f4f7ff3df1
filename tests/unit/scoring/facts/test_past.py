"""Facts at past instants, whatever came in between."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from scoring.facts.domain import DAY, Complaint, Fact, Purchase, Spell, summarize
from scoring.facts.past import Reached, Version, counted_at, known_at, true_at
from scoring.models.complaints import OPEN, RECOVERED

WHO = UUID(int=7)
START = datetime(2026, 1, 1, tzinfo=UTC)


def purchase(
    number: int, day: int, *, version: int = 1, counts: bool = True, at: int | None = None
) -> Purchase:
    order_id = uuid5(WHO, f"order {number}")
    event = uuid5(WHO, f"{number} {version}")
    told = day if at is None else at
    return Purchase(
        order_id, WHO, version, event, day * DAY, 500, 500, counts, 10 * number + version, told * DAY
    )


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12))
def test_what_was_known_then_is_what_had_been_told_by_then(versions_of: list[int]) -> None:
    """Facts told one after another, each with some versions: at every step all agree on what is known."""
    told: list[Purchase] = []
    history: list[Version] = []
    for number, versions in enumerate(versions_of):
        for version in range(1, versions + 1):
            fact = purchase(number, number, version=version, counts=version % 2 == 1)
            now = START + timedelta(seconds=len(told))
            history = [
                v._replace(known_until=now) if v.fact.id == fact.id and v.known_until is None else v
                for v in history
            ]
            history.append(Version(fact, now, None))
            told.append(fact)
    for step in range(len(told)):
        latest = {fact.id: fact for fact in told[: step + 1]}
        then = known_at(history, START + timedelta(seconds=step))
        assert {fact.id: fact for fact in then} == latest
        assert summarize(then) == summarize(counted_at(history, Reached(told[step].seq, 0)))


def test_nothing_is_known_before_the_first_fact() -> None:
    assert known_at([Version(purchase(1, 0), START, None)], START - timedelta(seconds=1)) == []


def test_a_purchase_was_not_before_it_was_made_and_counted_until_it_was_cancelled() -> None:
    gone = purchase(1, 10, version=2, counts=False, at=20)

    def counting(day: int) -> Sequence[bool]:
        return [fact.counts for fact in true_at([gone], day * DAY) if isinstance(fact, Purchase)]

    assert (counting(9), counting(10), counting(19), counting(20)) == ([], [True], [True], [False])


def test_a_complaint_was_open_until_it_was_resolved_and_not_before_it_was_opened() -> None:
    spells = (Spell(5 * DAY, 8 * DAY, RECOVERED), Spell(12 * DAY, None, OPEN))
    complaint = Complaint(UUID(int=1), WHO, 3, UUID(int=2), 2, True, spells)

    def was(day: int) -> list[tuple[Spell, ...]]:
        found: list[Fact] = true_at([complaint], day * DAY)
        return [fact.spells for fact in found if isinstance(fact, Complaint)]

    assert was(4) == []
    assert was(6) == [(Spell(5 * DAY, None, OPEN),)]
    assert was(9) == [(Spell(5 * DAY, 8 * DAY, RECOVERED),)]
    assert was(12) == [spells]
