"""In: the sequence gate. Each key's events are applied once and in order, whatever comes, or wait."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Counter

from shared.bus.retry import is_transient
from shared.db import Tx
from shared.events.event import EVENTS, Event, UnknownEventError, decode
from shared.telemetry import record_messages

log = structlog.get_logger()

HANDLER_TRIES = 3
LONGEST_KEY = 200
"""Whatever is longer is no key of ours, and too long for an index."""

_taken = Counter("patron_events_consumed", "Events taken in by this process", ["outcome"])

E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Delivery(Generic[E_co]):
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


@dataclass(slots=True)
class Incoming:
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


@dataclass(slots=True)
class _Progress:
    """A key's place in its stream while a batch is taken in; `failed_at` when a handler gave up on it."""

    last_seq: int = 0
    parked: bool = False
    held: bool = False
    failed_at: int | None = None

    def waits(self, seq: int) -> bool:
        """Whether an event comes after one that failed just now."""
        return self.failed_at is not None and seq > self.failed_at


_Streams = dict[tuple[str, str], _Progress]


def read(incoming: Incoming, wanted: Mapping[str, Handler]) -> Incoming:
    """Fill in what the headers and the value say; never raises, notes a `problem` instead.

    Events that nobody here wants are not decoded: they only move their key's sequence on.
    """
    found = incoming.headers
    try:
        key = found["ce_partitionkey"]
        if len(key) > LONGEST_KEY:
            raise ValueError(f"ce_partitionkey has {len(key)} characters; the limit is {LONGEST_KEY}")
        incoming.key = key
        seq = int(found["ce_sequence"])
        name, event_id = found["ce_type"], UUID(found["ce_id"])
        at = datetime.fromisoformat(found["ce_time"])
        if not 1 <= seq < 2**63:
            raise ValueError(f"ce_sequence is {seq}; the first is 1, the last 2^63 - 1")
        if at.tzinfo is None:
            raise ValueError(f"ce_time {found['ce_time']!r} has no time zone")
        incoming.seq = seq
    except KeyError as missing:
        incoming.problem = f"not an event: the header {missing.args[0]} is missing"
        return incoming
    except ValueError as problem:
        incoming.problem = f"not an event: {problem}"
        return incoming
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
        incoming.problem = f"{name}: {problem}"
        return incoming
    incoming.delivery = Delivery(
        event, incoming.topic, incoming.key, seq, event_id, at, found.get("ce_traceparent")
    )
    return incoming


def storable(text: str) -> str:
    """The text as PostgreSQL keeps it, which knows no NUL: else one such record would stop its partition."""
    return text.replace("\0", "\ufffd")


def _unknown(name: str) -> str | None:
    """A new kind of event is passed over; an unknown version of one that is known must not be."""
    stem = name.rpartition(".v")[0]
    if any(known.rpartition(".v")[0] == stem for known in EVENTS):
        return f"{name}: this version of the event is not known here; deploy the newer consumer, then retry"
    return None


def is_next(seq: int, last_seq: int) -> bool:
    """The gate: only the successor of the last applied event may pass."""
    return seq == last_seq + 1


_LOCK_PROGRESS = """
SELECT p.topic, p.key, p.last_seq, p.parked, p.held
FROM unnest($1::text[], $2::text[]) AS k (topic, key)
JOIN stream_progress p ON p.topic = k.topic AND p.key = k.key
ORDER BY p.topic, p.key FOR UPDATE OF p
"""
_SAVE_PROGRESS = """
INSERT INTO stream_progress (topic, key, last_seq, parked, held)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bool[], $5::bool[])
ON CONFLICT (topic, key) DO UPDATE
SET last_seq = excluded.last_seq, parked = excluded.parked, held = excluded.held
"""
_HOLD = """
INSERT INTO held_event (topic, key, seq, headers, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::jsonb[], $5::bytea[]) ON CONFLICT DO NOTHING
"""
_HELD = "SELECT topic, key, seq, headers, value FROM held_event WHERE (topic, key) = ($1, $2) ORDER BY seq"
_RELEASE = "DELETE FROM held_event WHERE (topic, key) = ($1, $2) AND seq <= $3"
_IS_QUEUED = """
SELECT EXISTS (SELECT FROM parked_event WHERE topic = $1 AND key = $2 AND seq = $3
               AND headers ->> 'ce_id' = $4 AND state IN ('parked', 'queued'))
"""
_PARK = """
INSERT INTO parked_event (topic, partition, "offset", key, seq, headers, raw_key, value, state, error)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


class Inbox:
    """Takes records in for one service: gates, applies, holds and parks them, in one transaction."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers: dict[str, Handler] = {event.wire_name: h for event, h in handlers.items()}
        self.topics = sorted({event.topic for event in handlers})

    def read(self, incoming: Incoming) -> Incoming:
        """See `read`; with this service's handlers."""
        return read(incoming, self.handlers)

    async def take_in(self, tx: Tx, incomings: Sequence[Incoming]) -> None:
        """Apply what is next for its key, hold what is early, pass over what is known, park the rest."""
        progress = await _lock_progress(tx, incomings)
        before = {stream: (p.last_seq, p.parked, p.held) for stream, p in progress.items()}
        ready: list[Incoming] = []
        early: dict[tuple[str, str, int], Incoming] = {}
        for incoming in incomings:
            if incoming.key is None or incoming.seq is None:
                await _park(tx, incoming, "parked", incoming.problem)
                continue
            stream = progress[incoming.topic, incoming.key]
            if incoming.seq <= stream.last_seq:
                _taken.labels("repeated").inc()
            elif stream.parked:
                await self._queue_behind(tx, incoming)
            elif not is_next(incoming.seq, stream.last_seq):
                early[incoming.topic, incoming.key, incoming.seq] = incoming
                stream.held = True
            else:
                await self._pass(tx, incoming, stream, ready)
                if stream.held:
                    await self._pass_held(tx, incoming.topic, incoming.key, stream, early, ready)
        await self._apply(tx, ready, progress)
        await _hold(tx, early)
        await _save_progress(tx, progress, before)

    async def _pass(self, tx: Tx, incoming: Incoming, stream: _Progress, ready: list[Incoming]) -> None:
        if incoming.problem:
            await _park(tx, incoming, "parked", incoming.problem)
            stream.parked = True
            return
        assert incoming.seq is not None
        stream.last_seq = incoming.seq
        ready.append(incoming)

    async def _pass_held(
        self,
        tx: Tx,
        topic: str,
        key: str,
        stream: _Progress,
        early: dict[tuple[str, str, int], Incoming],
        ready: list[Incoming],
    ) -> None:
        """The gap is filled: what waited behind it, in the database or in this batch, may pass too."""
        waiting = {
            r["seq"]: self.read(Incoming(topic, dict(msgspec.json.decode(r["headers"])), r["value"]))
            for r in await tx.fetch(_HELD, topic, key)
        }
        for t, k, seq in list(early):
            if (t, k) == (topic, key):
                waiting[seq] = early.pop((t, k, seq))
        for seq in sorted(waiting):
            if stream.parked:
                await self._queue_behind(tx, waiting[seq])
            elif is_next(seq, stream.last_seq):
                await self._pass(tx, waiting[seq], stream, ready)
            elif seq > stream.last_seq:
                early[topic, key, seq] = waiting[seq]
        done = max(waiting, default=0) if stream.parked else stream.last_seq
        await tx.execute(_RELEASE, topic, key, done)
        stream.held = any((t, k) == (topic, key) for t, k, _ in early)

    async def _queue_behind(self, tx: Tx, incoming: Incoming) -> None:
        """The key waits for a person: what comes later waits behind, once."""
        if not await tx.fetchval(
            _IS_QUEUED, incoming.topic, incoming.key, incoming.seq, incoming.headers.get("ce_id")
        ):
            await _park(tx, incoming, "queued", None)

    async def _apply(self, tx: Tx, ready: Sequence[Incoming], progress: _Streams) -> None:
        for handler, run in self._runs(ready):
            passing = [i for i in run if not progress[i.stream].waits(i.seq or 0)]
            began = time.time()
            try:
                async with tx.transaction():
                    await handler(tx, [i.delivery for i in passing if i.delivery])
                _taken.labels("applied").inc(len(passing))
                record_messages("consume", SpanKind.CONSUMER, began, map(_trace, passing))
            except Exception as problem:
                if is_transient(problem):
                    raise
                log.warning("batch failed; trying key by key", problem=repr(problem), events=len(passing))
                await self._apply_by_key(tx, handler, passing, progress)
        for incoming in ready:
            if progress[incoming.stream].waits(incoming.seq or 0):
                await self._queue_behind(tx, incoming)

    def _runs(self, ready: Sequence[Incoming]) -> Iterable[tuple[Handler, list[Incoming]]]:
        """Neighbours with the same handler go together; a key's events keep their order."""
        wanted = [i for i in ready if i.delivery]
        for handler, run in groupby(wanted, lambda i: self.handlers[i.headers["ce_type"]]):
            yield handler, list(run)

    async def _apply_by_key(
        self, tx: Tx, handler: Handler, run: Sequence[Incoming], progress: _Streams
    ) -> None:
        """Find the key whose event fails; it alone is parked, and what follows it waits."""
        for incoming in run:
            stream = progress[incoming.stream]
            assert incoming.seq is not None
            if stream.waits(incoming.seq):
                continue
            problem = await _try(tx, handler, incoming)
            if problem is not None:
                await _park(tx, incoming, "parked", repr(problem))
                stream.parked, stream.failed_at, stream.last_seq = True, incoming.seq, incoming.seq - 1


def _trace(incoming: Incoming) -> tuple[str | None, str]:
    return incoming.headers.get("ce_traceparent"), incoming.headers["ce_type"]


async def _try(tx: Tx, handler: Handler, incoming: Incoming) -> Exception | None:
    """One event, up to three times; the last problem, or None when it was applied."""
    assert incoming.delivery is not None
    problem: Exception | None = None
    for _ in range(HANDLER_TRIES):
        try:
            async with tx.transaction():
                await handler(tx, [incoming.delivery])
        except Exception as raised:
            if is_transient(raised):
                raise
            problem = raised
        else:
            _taken.labels("applied").inc()
            return None
    log.error("event parked", topic=incoming.topic, key=incoming.key, seq=incoming.seq, problem=repr(problem))
    return problem


async def _lock_progress(tx: Tx, incomings: Sequence[Incoming]) -> _Streams:
    streams = {(i.topic, i.key) for i in incomings if i.key is not None}
    progress = {stream: _Progress() for stream in streams}
    if streams:
        ordered = sorted(streams)
        records = await tx.fetch(_LOCK_PROGRESS, [t for t, _ in ordered], [k for _, k in ordered])
        for r in records:
            progress[r["topic"], r["key"]] = _Progress(r["last_seq"], r["parked"], r["held"])
    return progress


async def _save_progress(
    tx: Tx,
    progress: _Streams,
    before: dict[tuple[str, str], tuple[int, bool, bool]],
) -> None:
    moved = sorted(
        (topic, key, p.last_seq, p.parked, p.held)
        for (topic, key), p in progress.items()
        if before[topic, key] != (p.last_seq, p.parked, p.held)
    )
    if moved:
        await tx.execute(_SAVE_PROGRESS, *(list(column) for column in zip(*moved, strict=True)))


async def _hold(tx: Tx, early: Mapping[tuple[str, str, int], Incoming]) -> None:
    if not early:
        return
    _taken.labels("held").inc(len(early))
    await tx.execute(
        _HOLD,
        [topic for topic, _, _ in early],
        [key for _, key, _ in early],
        [seq for _, _, seq in early],
        [msgspec.json.encode(i.headers).decode() for i in early.values()],
        [i.value or b"" for i in early.values()],
    )


async def _park(tx: Tx, incoming: Incoming, state: str, error: str | None) -> None:
    _taken.labels(state).inc()
    await tx.execute(
        _PARK, incoming.topic, incoming.partition, incoming.offset, incoming.key, incoming.seq,
        msgspec.json.encode(incoming.headers).decode(), incoming.raw_key, incoming.value, state,
        error and storable(error),
    )  # fmt: skip
