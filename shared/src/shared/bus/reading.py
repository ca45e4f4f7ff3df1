"""What came from Kafka, read: an envelope, an event that keeps its schema, or why it is neither."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from shared.db import Tx
from shared.events.event import EVENTS, Event, UnknownEventError, decode

log = structlog.get_logger()

MOST_NAMES = 100
"""Of so many kinds of events that are not known it is told that they are passed over."""
LONGEST_KEY = 200
"""Whatever is longer is no key of ours, and too long for an index."""


taken = Counter("patron_events_consumed", "Events taken in by this process", ["outcome"])

E_co = TypeVar("E_co", bound=Event, covariant=True)


class Delivery(msgspec.Struct, Generic[E_co], frozen=True):
    """An event as it reaches its handler: in order for its key, and once."""

    event: E_co
    topic: str
    key: str
    seq: int
    event_id: UUID
    at: datetime
    traceparent: str | None


Handler = Callable[[Tx, Sequence[Delivery[Any]]], Awaitable[None]]
"""Applies a batch of deliveries, of several keys perhaps, within the transaction it is given."""

Handlers = Mapping[type[Event], Handler]
"""Which function consumes which event: the one place to read what a service listens to."""


class Incoming(msgspec.Struct):
    """A record as it came, and what could be read of it. `problem` says why it can never be applied."""

    topic: str
    headers: dict[str, str]
    value: bytes | None
    raw_key: bytes | None = None
    partition: int | None = None
    offset: int | None = None
    key: str | None = None
    seq: int | None = None
    delivery: Delivery[Event] | None = None
    problem: str | None = None

    @property
    def stream(self) -> tuple[str, str]:
        """The topic and key whose order it is part of."""
        return self.topic, self.key or ""


class Envelope(msgspec.Struct):
    """The headers that every event has."""

    ce_partitionkey: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_KEY)]
    ce_sequence: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    ce_type: str
    ce_id: UUID
    ce_time: Annotated[datetime, msgspec.Meta(tz=True)]
    ce_traceparent: str | None = None


def read(incoming: Incoming, wanted: Mapping[str, Handler]) -> Incoming:
    """Fill in what the headers and the value say; never raises, notes a `problem` instead.

    Events that nobody here wants are not decoded: they only move their key's sequence on.
    """
    try:
        found = msgspec.convert(incoming.headers, Envelope, strict=False)
    except msgspec.ValidationError as problem:
        incoming.problem = f"not an event: {problem}"
        key = incoming.headers.get("ce_partitionkey")
        incoming.key = storable(key) if key and len(key) <= LONGEST_KEY else None
        return incoming
    incoming.key, incoming.seq, name = storable(found.ce_partitionkey), found.ce_sequence, found.ce_type
    if name not in wanted:
        if name not in EVENTS:
            incoming.problem = _unknown(name)
        return incoming
    try:
        event = decode(name, incoming.value or b"")
        if event.key != incoming.key or event.topic != incoming.topic:
            raise ValueError(
                f"it is about {event.key} on {event.topic},"
                f" its envelope says {incoming.key} on {incoming.topic}"
            )
    except (msgspec.DecodeError, UnknownEventError, ValueError, RecursionError) as problem:
        incoming.problem = f"{name}: {_in_words(problem, incoming.value)}"
        return incoming
    incoming.delivery = Delivery(
        event, incoming.topic, incoming.key, incoming.seq, found.ce_id, found.ce_time, found.ce_traceparent
    )  # fmt: skip
    return incoming


def storable(text: str) -> str:
    """The text as PostgreSQL keeps it, which knows no NUL: else one such record would stop its partition."""
    return text.replace("\0", "\ufffd")


_BROKEN_RULE = re.compile(r"(?P<rule>.*) - at `\$\.(?P<path>[^`]+)`")


def _in_words(problem: Exception, value: bytes | None) -> str:
    """Which field breaks which rule, and what it says, as far as that is to be found."""
    found = _BROKEN_RULE.fullmatch(str(problem))
    if found is None:
        return str(problem)
    said: Any = msgspec.json.decode(value or b"")
    for name in found["path"].split("."):
        said = said.get(name) if isinstance(said, dict) else None
    if said is None or isinstance(said, dict | list):
        return f"{found['path']}: {found['rule']}"
    return f"{found['path']} {said!r:.60}: {found['rule']}"


_passed_over: set[str] = set()


def _unknown(name: str) -> str | None:
    """A new kind of event is passed over; an unknown version of one that is known must not be."""
    stem = name.rpartition(".v")[0]
    if any(known.rpartition(".v")[0] == stem for known in EVENTS):
        return f"{name}: this version of the event is not known here; deploy the newer consumer, then retry"
    taken.labels("unknown").inc()
    if name not in _passed_over and len(_passed_over) < MOST_NAMES:
        _passed_over.add(name)
        log.warning("events of this kind are passed over: nothing here knows them", type=name)
    return None
