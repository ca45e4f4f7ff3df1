"""What is known of a customer: facts, and the state they add up to.

A fact carries its whole aggregate and the aggregate's version, and is superseded only by a higher version.
The state is a pure function of the facts (`summarize`), so it does not depend on the order in which they
came. `apply` reaches the same state, byte for byte, from the state before and one fact, at a cost that does
not grow with the customer's history; where it cannot (a late purchase, a cancellation), it says so.

All instants are integer microseconds since 1970, all amounts minor units: sums of them are exact.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, cast
from uuid import UUID

import msgspec
import numpy as np

from scoring.facts import sweep
from scoring.models.complaints import MISHANDLED, OPEN, PHASES, RECOVERED, WINDOW_WEEKS
from scoring.models.complaints import SEVERITIES as WEIGHT_OF

DAY = 86_400_000_000
WEEK = 7 * DAY
FOREVER = 2**62
MANY = 50
"""Complaints that are looked at all at once, which costs more where they are few."""

SEVERITIES = ("", "minor", "major", "critical")
"""A complaint's severity is its place here; 0 stands for no complaint."""
WEIGHTS = (0.0, *(WEIGHT_OF[name] for name in SEVERITIES[1:]))
"""What the models take of a severity."""

_FELT_FOR = {phase: int(WINDOW_WEEKS[PHASES[phase]] * WEEK) for phase in (MISHANDLED, RECOVERED)}


class Registration(msgspec.Struct, frozen=True):
    """A customer's file was opened."""

    id: UUID
    customer_id: UUID
    version: int
    event_id: UUID
    registered_at: int
    seq: int = 0
    """The event's place in its publisher's stream about this customer."""
    at: int = 0
    """When it happened, as the event says."""


class Purchase(msgspec.Struct, frozen=True):
    """An order; it `counts` from its placing on, and no longer once it is cancelled."""

    id: UUID
    customer_id: UUID
    version: int
    event_id: UUID
    ordered_at: int
    amount_minor: int
    list_amount_minor: int
    counts: bool
    seq: int = 0
    at: int = 0


class Spell(NamedTuple):
    """One time that a complaint was open; `outcome` is the phase that followed, or `OPEN` for none."""

    opened: int
    resolved: int | None
    outcome: int


class Complaint(msgspec.Struct, frozen=True):
    """A ticket; it `counts` if it is a complaint."""

    id: UUID
    customer_id: UUID
    version: int
    event_id: UUID
    severity: int
    counts: bool
    spells: tuple[Spell, ...]
    seq: int = 0
    at: int = 0


Fact: TypeAlias = Registration | Purchase | Complaint


class Felt(msgspec.Struct, frozen=True, array_like=True):
    """A complaint that is felt, or may yet be, after the customer's last purchase."""

    ticket: bytes
    severity: int
    spells: tuple[Spell, ...]


class State(msgspec.Struct, frozen=True, array_like=True):
    """What scoring remembers of one customer. Knows instants, never probabilities or model parameters."""

    registered_at: int | None = None
    purchases: int = 0
    discounted: int = 0
    """Purchases below the list price."""
    spent_minor: int = 0
    repeat_minor: int = 0
    """Of that, on days after the first."""
    days: int = 0
    """Distinct days with a purchase, in UTC."""
    first_at: int | None = None
    last_at: int | None = None
    complaints: int = 0
    forgiven: int = 0
    """Complaints after whose opening the customer bought again."""
    exposure: tuple[tuple[int, int], ...] = ()
    """Until the last purchase: microseconds spent in each `mood`, sorted; unclouded time is left out."""
    recent: tuple[Felt, ...] = ()
    """Complaints that reach past the last purchase, by ticket."""


EMPTY = State()

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def encode(state: State) -> bytes:
    """The state's one and only byte form."""
    return _encoder.encode(state)


def decode(stored: bytes) -> State:
    """The state of its byte form."""
    return _decoder.decode(stored)


def summarize(facts: Iterable[Fact]) -> State:
    """The state of one customer, from all facts there are about them, in any order."""
    registered_at = None
    purchases: list[Purchase] = []
    felt: list[Felt] = []
    for fact in facts:
        match fact:
            case Registration():
                registered_at = fact.registered_at
            case Purchase(counts=True):
                purchases.append(fact)
            case Complaint(counts=True):
                felt.append(_felt(fact))
    felt.sort(key=lambda one: one.ticket)
    state = State(registered_at=registered_at, complaints=len(felt), recent=tuple(felt))
    purchases.sort(key=lambda purchase: purchase.ordered_at)
    return _buy(state, purchases) if purchases else state


def apply(state: State, before: Fact | None, fact: Fact) -> State | None:
    """The state after a fact that replaces `before`; None where only all facts together can tell."""
    kind = type(fact)  # isinstance and match cost four times as much with these classes
    if kind is Purchase:
        return _apply_purchase(state, cast("Purchase | None", before), cast("Purchase", fact))
    if kind is Complaint:
        return _apply_complaint(state, cast("Complaint | None", before), cast("Complaint", fact))
    return msgspec.structs.replace(state, registered_at=cast("Registration", fact).registered_at)


def _apply_purchase(state: State, before: Purchase | None, fact: Purchase) -> State | None:
    if before is not None and before.counts:
        same = (fact.ordered_at, fact.amount_minor, fact.list_amount_minor, fact.counts) == (
            before.ordered_at, before.amount_minor, before.list_amount_minor, True
        )  # fmt: skip
        return state if same else None
    if not fact.counts:
        return state
    if state.last_at is not None and fact.ordered_at < state.last_at:
        return None
    return _buy(state, [fact])


def _buy(state: State, purchases: Sequence[Purchase]) -> State:
    """Purchases in order, none before the last one so far; several on one day are one purchase day."""
    first_at = purchases[0].ordered_at if state.first_at is None else state.first_at
    since = first_at if state.last_at is None else state.last_at
    last_at = purchases[-1].ordered_at
    first_day = first_at // DAY
    last_day = None if state.last_at is None else state.last_at // DAY
    days, spent, repeat, discounted = state.days, state.spent_minor, state.repeat_minor, state.discounted
    for purchase in purchases:
        day, amount = purchase.ordered_at // DAY, purchase.amount_minor
        days += day != last_day
        last_day = day
        spent += amount
        repeat += amount if day != first_day else 0
        discounted += amount < purchase.list_amount_minor
    exposure, recent, forgiven = state.exposure, state.recent, state.forgiven
    if recent:
        exposure = _expose(exposure, recent, since, last_at)
        forgiven += sum(_opened_in(felt, state.last_at, last_at) for felt in recent)
        recent = tuple(felt for felt in recent if _reaches_past(felt, last_at))
    return State(
        registered_at=state.registered_at,
        purchases=state.purchases + len(purchases),
        discounted=discounted,
        spent_minor=spent,
        repeat_minor=repeat,
        days=days,
        first_at=first_at,
        last_at=last_at,
        complaints=state.complaints,
        forgiven=forgiven,
        exposure=exposure,
        recent=recent,
    )


def _opened_in(felt: Felt, since: int | None, until: int) -> bool:
    return (since is None or felt.spells[0].opened >= since) and felt.spells[0].opened < until


def _apply_complaint(state: State, before: Complaint | None, fact: Complaint) -> State | None:
    """Changes what is ahead of the last purchase; where it would change what was before, all is redone."""
    old = _felt(before) if before is not None and before.counts else None
    new = _felt(fact) if fact.counts else None
    forgiven = state.forgiven
    if state.first_at is not None and state.last_at is not None:
        if _clipped(old, state.first_at, state.last_at) != _clipped(new, state.first_at, state.last_at):
            return None
        forgiven += _is_forgiven(new, state.last_at) - _is_forgiven(old, state.last_at)
    place = bisect_left(state.recent, fact.id.bytes, key=lambda felt: felt.ticket)
    after = place + (place < len(state.recent) and state.recent[place].ticket == fact.id.bytes)
    still_felt = new is not None and (state.last_at is None or _reaches_past(new, state.last_at))
    kept = (new,) if new is not None and still_felt else ()
    return msgspec.structs.replace(
        state,
        complaints=state.complaints + (new is not None) - (old is not None),
        forgiven=forgiven,
        recent=(*state.recent[:place], *kept, *state.recent[after:]),
    )


def _felt(complaint: Complaint) -> Felt:
    return Felt(complaint.id.bytes, complaint.severity, complaint.spells)


def _is_forgiven(felt: Felt | None, last_at: int) -> bool:
    return felt is not None and felt.spells[0].opened < last_at


def _reaches_past(felt: Felt, last_at: int) -> bool:
    return felt.spells[0].opened >= last_at or any(window.end > last_at for window in windows(felt))


class Window(NamedTuple):
    """A complaint is felt in one way from `start` to `end`, which may be `FOREVER`."""

    start: int
    end: int
    phase: int
    severity: int


def windows(felt: Felt) -> Iterator[Window]:
    """Each spell is felt while it is open, then for the window of its outcome or until it opens again."""
    for place, spell in enumerate(felt.spells):
        if spell.resolved is None:
            yield Window(spell.opened, FOREVER, OPEN, felt.severity)
            continue
        resolved = max(spell.resolved, spell.opened)  # clocks differ
        yield Window(spell.opened, resolved, OPEN, felt.severity)
        if spell.outcome != OPEN:
            end = resolved + _FELT_FOR[spell.outcome]
            if place + 1 < len(felt.spells):
                end = min(end, felt.spells[place + 1].opened)
            yield Window(resolved, end, spell.outcome, felt.severity)


def _clipped(felt: Felt | None, since: int, until: int) -> list[Window]:
    if felt is None or since >= until:
        return []
    return [
        Window(max(start, since), min(end, until), phase, severity)
        for start, end, phase, severity in windows(felt)
        if start < until and since < end and start < end
    ]


class Piece(NamedTuple):
    """A time throughout which the customer was in one mood."""

    start: int
    end: int
    mood: int


def pieces(recent: Sequence[Felt], since: int, until: int) -> list[Piece]:
    """What complaints make of the time between two instants; unclouded time is left out.

    Overlapping complaints count once per phase, with the gravest severity; phases act together. A `mood`
    holds the severity in each phase, two bits for each.
    """
    if len(recent) > MANY:
        return [Piece(*found) for found in sweep.moods(_spells(recent), _FELT_FOR, since, until)]
    felt_now = [window for felt in recent for window in _clipped(felt, since, until)]
    counts = [[0] * len(SEVERITIES) for _ in PHASES]
    if all(window.start == since and window.end == until for window in felt_now):  # as it mostly is
        for window in felt_now:
            counts[window.phase][window.severity] = 1
        return [Piece(since, until, _mood(counts))] if felt_now else []
    edges = [(window.start, 1, window.phase, window.severity) for window in felt_now]
    edges += [(window.end, -1, window.phase, window.severity) for window in felt_now]
    edges.sort()
    found: list[Piece] = []
    at = mood = 0
    for instant, change, phase, severity in edges:
        if mood and instant > at:
            found.append(Piece(at, instant, mood))
        counts[phase][severity] += change
        at, mood = instant, _mood(counts)
    return found


def _spells(recent: Sequence[Felt]) -> sweep.Spells:
    flat = [spell for felt in recent for spell in felt.spells]
    counts = np.array([len(felt.spells) for felt in recent])
    opened = np.array([begin for begin, _, _ in flat], dtype=np.int64)
    again = np.append(opened[1:], FOREVER)
    again[np.cumsum(counts) - 1] = FOREVER
    return sweep.Spells(
        np.repeat(np.array([felt.severity for felt in recent], dtype=np.int64), counts),
        opened,
        np.array([FOREVER if end is None else end for _, end, _ in flat], dtype=np.int64),
        np.array([outcome for _, _, outcome in flat], dtype=np.int64),
        again,
    )


def _mood(counts: Sequence[Sequence[int]]) -> int:
    mood = 0
    for phase, (_, minor, major, critical) in enumerate(counts):
        mood |= (3 if critical else 2 if major else 1 if minor else 0) << (2 * phase)
    return mood


def severities(mood: int) -> tuple[int, ...]:
    """The severity in force in each phase."""
    return tuple((mood >> (2 * phase)) & 3 for phase in range(len(PHASES)))


def _expose(
    exposure: tuple[tuple[int, int], ...], recent: Sequence[Felt], since: int, until: int
) -> tuple[tuple[int, int], ...]:
    spent = Counter(dict(exposure))
    for piece in pieces(recent, since, until):
        spent[piece.mood] += piece.end - piece.start
    return tuple(sorted(spent.items()))
