"""A batch of facts, counted: which are new, which states they change, and who must be summed up anew."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

import msgspec

from scoring.facts.domain import EMPTY, Fact, Purchase, State, apply, summarize

FactKey: TypeAlias = tuple[type[Fact], UUID]

MOST_STEPS = 50_000
"""So many complaints may be gone through for one customer's purchases in a batch; beyond, one sum of all
facts is quicker, and no customer holds the others up."""


@dataclass(slots=True)
class Counted:
    """What is to be saved. `late` customers need all their facts, then `rebuild`."""

    facts: list[Fact] = field(default_factory=list)
    latest: dict[FactKey, Fact] = field(default_factory=dict)
    superseding: list[Fact] = field(default_factory=list)
    """Those of which an earlier version is known."""
    states: dict[UUID, State] = field(default_factory=dict)
    late: set[UUID] = field(default_factory=set)
    restated: set[UUID] = field(default_factory=set)
    """Late customers of whom something is now known that was so before. A cancellation is news, not that."""

    def rebuild(self, facts: Mapping[UUID, Iterable[Fact]]) -> None:
        """Sum up the late customers from all their facts, this batch's included."""
        for customer_id in self.late:
            self.states[customer_id] = summarize(facts.get(customer_id, ()))


def count(states: Mapping[UUID, State], known: Mapping[FactKey, Fact], facts: Iterable[Fact]) -> Counted:
    """Count each fact once, in the order given; one that is not newer than what is known changes nothing."""
    counted = Counted()
    steps: Counter[UUID] = Counter()
    heavy: set[UUID] = set()
    for fact in facts:
        key, customer_id = (type(fact), fact.id), fact.customer_id
        before = counted.latest.get(key) or known.get(key)
        if before is not None:
            if before.customer_id != customer_id:
                raise ValueError(
                    f"{type(fact).__name__} {fact.id} belongs to customer {before.customer_id},"
                    f" not {customer_id}"
                )
            if fact.version <= before.version:
                _require_same(before, fact)
                continue
            counted.superseding.append(fact)
        counted.facts.append(fact)
        counted.latest[key] = fact
        state = counted.states.get(customer_id) or states.get(customer_id, EMPTY)
        if state.recent and isinstance(fact, Purchase):
            steps[customer_id] += len(state.recent)
            if steps[customer_id] > MOST_STEPS:  # goes on without them, to find out what is late
                heavy.add(customer_id)
                state = msgspec.structs.replace(state, recent=())
        after = None if customer_id in counted.late else apply(state, before, fact)
        if after is None:
            counted.late.add(customer_id)
            if not isinstance(fact, Purchase) or fact.counts:
                counted.restated.add(customer_id)
        elif after is not state:
            counted.states[customer_id] = after
    counted.late |= heavy
    return counted


def _require_same(known: Fact, fact: Fact) -> None:
    """Refuse what contradicts the version that is known; an older one, or the same again, is no news."""
    told = msgspec.structs.replace(fact, event_id=known.event_id, seq=known.seq, at=known.at)
    if fact.version == known.version and told != known:
        kind = type(fact).__name__.lower()
        raise ValueError(
            f"version {fact.version} of the {kind} {fact.id} is known by the event {known.event_id}, and was"
            " something else; a correction has a higher version"
        )
