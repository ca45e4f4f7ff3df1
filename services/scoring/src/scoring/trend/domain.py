"""A customer's loyalty now beside what it was: both from facts, with the same model and the same weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from scoring.care.domain import Served
from scoring.facts.domain import Fact, State, summarize
from scoring.facts.past import true_at
from scoring.facts.reading import micros
from scoring.models.loyalty import Evidence, Loyalty, contributions_to_change
from scoring.serving import wording
from scoring.serving.figures import customers_of, evidence_of, loyalty_of
from scoring.serving.texts import Said

Direction = Literal["rising", "falling", "steady"]
STEADY_WITHIN = 1.0
"""Points of the index that are no trend."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Loyalty as of an instant, and what it was known from."""

    loyalty: Loyalty
    evidence: Evidence

    def said_of(self, code: str) -> Said:
        """What stood behind an indicator, or that nothing did."""
        return wording.of_indicator(code, self.loyalty.indicators[code], self.evidence)


@dataclass(frozen=True, slots=True)
class Change:
    """What one indicator adds to the difference of the index, in points; its values, None: not observed."""

    code: str
    points: float
    before: float | None
    now: float | None
    said_before: Said
    said_now: Said


@dataclass(frozen=True, slots=True)
class Trend:
    """Loyalty against an earlier instant. `before`, `difference` and `direction` are None where nothing had
    been bought by then; `changes` add up to the difference, the largest first."""

    days_ago: int
    as_of: datetime
    before: Loyalty | None
    difference: float | None
    direction: Direction | None
    changes: Sequence[Change]
    said: Said


def seen(state: State, served: Served, at: datetime) -> Seen | None:
    """The loyalty of this state at an instant; None before the first purchase."""
    if not state.purchases:
        return None
    people = customers_of([state], micros(at))
    (found,) = loyalty_of([state], people, served)
    return Seen(found, evidence_of(state, float((people.T - people.t_x)[0])))


def trends(
    facts: Sequence[Fact], now: Seen, served: Served, at: datetime, days_ago: Iterable[int]
) -> list[Trend]:
    """Against each of these days ago, as the facts say it was then."""
    found = []
    for days in days_ago:
        then = at - timedelta(days=days)
        before = seen(summarize(true_at(facts, micros(then))), served, then)
        found.append(_trend(before, now, days, then))
    return found


def _trend(before: Seen | None, now: Seen, days: int, then: datetime) -> Trend:
    since = {"since": then.date()}
    if before is None:
        return Trend(days, then, None, None, None, (), Said("trend.nothing_bought", since))
    old, new = before.loyalty, now.loyalty
    assert old.index is not None  # how often somebody buys who has bought is known
    assert new.index is not None
    difference = new.index - old.index
    direction: Direction = "steady"
    if abs(difference) >= STEADY_WITHIN:
        direction = "rising" if difference > 0 else "falling"
    said = Said(f"trend.{direction}", since | {"before": old.index, "now": new.index})
    return Trend(days, then, old, difference, direction, _changes(before, now), said)


def _changes(before: Seen, now: Seen) -> list[Change]:
    made = contributions_to_change(before.loyalty, now.loyalty)
    changes = []
    for code, points in made.items():
        old, new = before.loyalty.indicators[code], now.loyalty.indicators[code]
        if old.value != new.value:
            said = before.said_of(code), now.said_of(code)
            changes.append(Change(code, points, old.value, new.value, *said))
    return sorted(changes, key=lambda change: -abs(change.points))
