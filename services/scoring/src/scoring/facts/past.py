"""Facts at a past instant: as they were then known, and as they are now known to have been."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from scoring.facts.domain import Complaint, Fact, Purchase
from scoring.models.complaints import OPEN


class Version(NamedTuple):
    """A fact as it was known from one instant until another; None: it still is."""

    fact: Fact
    known_from: datetime
    known_until: datetime | None


class Reached(NamedTuple):
    """How far each publisher's events about a customer had been counted, as a score's `progress` says it."""

    orders: int
    service_desk: int


def known_at(versions: Iterable[Version], instant: datetime) -> list[Fact]:
    """What was known at that instant, right or wrong."""
    return [
        version.fact
        for version in versions
        if version.known_from <= instant and (version.known_until is None or version.known_until > instant)
    ]


def counted_at(versions: Sequence[Version], reached: Reached) -> list[Fact]:
    """What had been counted when the events up to these were in: exact where clocks are not."""
    latest: dict[tuple[type[Fact], UUID], Fact] = {}
    for fact, _, _ in versions:
        limit = reached.orders if isinstance(fact, Purchase) else reached.service_desk
        if isinstance(fact, Purchase | Complaint) and fact.seq > limit:
            continue
        before = latest.get((type(fact), fact.id))
        if before is None or before.version < fact.version:
            latest[type(fact), fact.id] = fact
    return list(latest.values())


def true_at(facts: Iterable[Fact], micros: int) -> list[Fact]:
    """Of what is known now, what was so at that instant, in microseconds since 1970.

    A purchase since cancelled counted until then; a complaint since resolved was open.
    """
    found = (_as_it_was(fact, micros) for fact in facts)
    return [fact for fact in found if fact is not None]


def _as_it_was(fact: Fact, micros: int) -> Fact | None:
    if isinstance(fact, Purchase):
        if fact.ordered_at > micros:
            return None
        return fact if fact.counts or fact.at <= micros else msgspec.structs.replace(fact, counts=True)
    if isinstance(fact, Complaint):
        begun = [spell for spell in fact.spells if spell.opened <= micros]
        if not begun:
            return None
        last = begun[-1]
        if last.resolved is not None and last.resolved > micros:
            begun[-1] = last._replace(resolved=None, outcome=OPEN)
        return msgspec.structs.replace(fact, spells=tuple(begun))
    return fact if fact.registered_at <= micros else None
