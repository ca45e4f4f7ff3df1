"""In: the sequence gate. Each key's events are applied once and in order, whatever comes, or wait."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec
import structlog
from opentelemetry.trace import SpanKind

from shared.bus.reading import Handler, Handlers, Incoming, read, storable, taken
from shared.bus.retry import is_transient
from shared.db import Tx, array
from shared.telemetry import record_messages

log = structlog.get_logger()

HANDLER_TRIES = 3
NEXT = "correct it with `parked edit`, or discard it; what follows about its key waits until then"
NEXT_WITHOUT_KEY = "it stops nothing else: make an event of it with `parked edit`, or discard it"


class _Progress(msgspec.Struct):
    """A key's place in its stream while a batch is taken in."""

    last_seq: int = 0
    parked: bool = False
    held: bool = False
    before: tuple[int, bool, bool] = (0, False, False)
    """What the database says."""

    @property
    def now(self) -> tuple[int, bool, bool]:
        return self.last_seq, self.parked, self.held


_Stream = tuple[str, str]
_Streams = dict[_Stream, _Progress]


def is_next(seq: int, last_seq: int) -> bool:
    """The gate: only the successor of the last applied event may pass."""
    return seq == last_seq + 1


_BEGIN = """
INSERT INTO stream_progress (topic, key, last_seq)
SELECT $1, key, last_seq FROM unnest($2::text::text[], $3::text::bigint[]) AS n (key, last_seq)
ON CONFLICT (topic, key) DO NOTHING RETURNING key
"""
_MOVE_ON = """
UPDATE stream_progress p SET last_seq = n.last_seq
FROM unnest($2::text::text[], $3::text::bigint[], $4::text::bigint[]) AS n (key, last_seq, first_seq)
WHERE p.topic = $1 AND p.key = n.key AND p.last_seq = n.first_seq - 1 AND NOT p.parked AND NOT p.held
RETURNING p.key
"""
_LOCK_PROGRESS = """
SELECT p.key, p.last_seq, p.parked, p.held
FROM unnest($2::text::text[]) AS n (key) JOIN stream_progress p ON p.topic = $1 AND p.key = n.key
ORDER BY p.key FOR UPDATE OF p
"""
_SAVE_PROGRESS = """
INSERT INTO stream_progress (topic, key, last_seq, parked, held)
SELECT $1, key, last_seq, key = ANY($4), key = ANY($5)
FROM unnest($2::text::text[], $3::text::bigint[]) AS n (key, last_seq)
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
        progress = await _find_progress(tx, incomings)
        ready: list[Incoming] = []
        early: dict[_Stream, dict[int, Incoming]] = {}
        for incoming in incomings:
            if incoming.key is None or incoming.seq is None:
                await _park(tx, incoming, "parked", incoming.problem)
                continue
            stream = progress[incoming.topic, incoming.key]
            if incoming.seq <= stream.last_seq:
                taken.labels("repeated").inc()
            elif stream.parked:
                await self._queue_behind(tx, incoming)
            elif is_next(incoming.seq, stream.last_seq):
                await _pass(tx, incoming, stream, ready)
            else:
                early.setdefault((incoming.topic, incoming.key), {})[incoming.seq] = incoming
                stream.held = True
        for place, stream in progress.items():
            if stream.held and stream.now != stream.before:
                early[place] = await self._pass_held(tx, place, stream, early.get(place, {}), ready)
        await self._apply(tx, ready, progress)
        await _hold(tx, [incoming for waiting in early.values() for incoming in waiting.values()])
        await _save_progress(tx, progress)

    async def _pass_held(
        self,
        tx: Tx,
        place: _Stream,
        stream: _Progress,
        early: dict[int, Incoming],
        ready: list[Incoming],
    ) -> dict[int, Incoming]:
        """What waited for a predecessor, in the database or in this batch, may pass; answers what may not."""
        topic, key = place
        held = {
            r["seq"]: self.read(Incoming(topic, dict(msgspec.json.decode(r["headers"])), r["value"]))
            for r in (await tx.fetch(_HELD, topic, key) if stream.before[2] else ())
        }
        waiting = held | early
        for seq in sorted(waiting):
            if stream.parked:
                await self._queue_behind(tx, waiting[seq])
            elif is_next(seq, stream.last_seq):
                await _pass(tx, waiting[seq], stream, ready)
        done = max(waiting, default=0) if stream.parked else stream.last_seq
        if held:
            await tx.execute(_RELEASE, topic, key, done)
        still = {seq: incoming for seq, incoming in waiting.items() if seq > done}
        stream.held = bool(still)
        return still

    async def _queue_behind(self, tx: Tx, incoming: Incoming) -> None:
        """The key waits for a person: what comes later waits behind, once."""
        if not await tx.fetchval(
            _IS_QUEUED, incoming.topic, incoming.key, incoming.seq, incoming.headers.get("ce_id")
        ):
            await _park(tx, incoming, "queued", None)

    async def _apply(self, tx: Tx, ready: Sequence[Incoming], progress: _Streams) -> None:
        failed: dict[_Stream, int] = {}
        for handler, run in self._runs(ready):
            passing = [i for i in run if not _waits(i, failed)] if failed else run
            began = time.time()
            try:
                async with tx.transaction():
                    await handler(tx, [i.delivery for i in passing if i.delivery])
                taken.labels("applied").inc(len(passing))
                record_messages("consume", SpanKind.CONSUMER, began, map(_trace, passing))
            except Exception as problem:
                if is_transient(problem):
                    raise
                log.warning("batch failed; trying key by key", problem=repr(problem), events=len(passing))
                await self._apply_by_key(tx, handler, passing, progress, failed)
        for incoming in ready if failed else ():
            if _waits(incoming, failed):
                await self._queue_behind(tx, incoming)

    def _runs(self, ready: Sequence[Incoming]) -> Iterable[tuple[Handler, list[Incoming]]]:
        """Neighbours with the same handler go together; a key's events keep their order."""
        wanted = [i for i in ready if i.delivery]
        for handler, run in groupby(wanted, lambda i: self.handlers[i.headers["ce_type"]]):
            yield handler, list(run)

    async def _apply_by_key(
        self,
        tx: Tx,
        handler: Handler,
        run: Sequence[Incoming],
        progress: _Streams,
        failed: dict[_Stream, int],
    ) -> None:
        """Find the key whose event fails; it alone is parked, and what follows it waits."""
        for incoming in run:
            if _waits(incoming, failed):
                continue
            problem = await _try(tx, handler, incoming)
            if problem is not None:
                assert incoming.seq is not None
                await _park(tx, incoming, "parked", _reason(problem))
                stream = progress[incoming.stream]
                stream.parked, stream.last_seq = True, incoming.seq - 1
                failed[incoming.stream] = incoming.seq


def _reason(problem: Exception) -> str:
    """A handler's refusal in its own words; what nobody foresaw, as Python has it."""
    return str(problem) if isinstance(problem, ValueError) else repr(problem)


def _waits(incoming: Incoming, failed: Mapping[_Stream, int]) -> bool:
    """Whether an event comes after one that failed just now."""
    failed_at = failed.get(incoming.stream)
    return failed_at is not None and (incoming.seq or 0) > failed_at


async def _pass(tx: Tx, incoming: Incoming, stream: _Progress, ready: list[Incoming]) -> None:
    if incoming.problem:
        await _park(tx, incoming, "parked", incoming.problem)
        stream.parked = True
        return
    assert incoming.seq is not None
    stream.last_seq = incoming.seq
    ready.append(incoming)


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
            taken.labels("applied").inc()
            return None
    log.error("event parked", topic=incoming.topic, key=incoming.key, seq=incoming.seq, problem=repr(problem))
    return problem


async def _find_progress(tx: Tx, incomings: Sequence[Incoming]) -> _Streams:
    """Where the keys of these events are, each locked. Where all that comes is next, which is the rule, the
    database is moved on at once, so that nothing is left to be saved."""
    coming: dict[str, list[Incoming]] = defaultdict(list)
    for incoming in incomings:
        if incoming.key is not None:
            coming[incoming.topic].append(incoming)
    progress: _Streams = {}
    for topic in sorted(coming):
        first, last = _in_a_row(coming[topic])
        new = sorted(key for key in last if first[key] == 1)
        known = sorted(key for key in last if first[key] > 1)
        seqs = [array([of[key] for key in known]) for of in (last, first)]
        moved = await tx.fetch(_MOVE_ON, topic, array(known), *seqs) if known else []
        if new:
            moved += await tx.fetch(_BEGIN, topic, array(new), array([last[key] for key in new]))
        for (key,) in moved:
            progress[topic, key] = _Progress(first[key] - 1, before=(last[key], False, False))
        others = {i.key: _Progress() for i in coming[topic] if i.key and (topic, i.key) not in progress}
        for key, seq, parked, held in (
            await tx.fetch(_LOCK_PROGRESS, topic, array(list(others))) if others else ()
        ):
            others[key] = _Progress(seq, parked, held, (seq, parked, held))
        progress |= {(topic, key): stream for key, stream in others.items()}
    return progress


def _in_a_row(incomings: Sequence[Incoming]) -> tuple[dict[str, int], dict[str, int]]:
    """The first and last number of each key whose events can all be read, and come one after the other."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    others = set[str]()
    for incoming in incomings:
        key, seq = incoming.key or "", incoming.seq
        if seq is None or incoming.problem:
            others.add(key)
        elif key not in last:
            first[key] = last[key] = seq
        elif is_next(seq, last[key]):
            last[key] = seq
        else:
            others.add(key)
    for key in others & last.keys():
        del first[key], last[key]
    return first, last


async def _save_progress(tx: Tx, progress: _Streams) -> None:
    moved: dict[str, dict[str, _Progress]] = defaultdict(dict)
    for (topic, key), stream in progress.items():
        if stream.now != stream.before:
            moved[topic][key] = stream
    for topic in sorted(moved):
        streams = moved[topic]
        keys = sorted(streams)
        await tx.execute(
            _SAVE_PROGRESS, topic, array(keys), array([streams[key].last_seq for key in keys]),
            [key for key in keys if streams[key].parked], [key for key in keys if streams[key].held],
        )  # fmt: skip


async def _hold(tx: Tx, early: Sequence[Incoming]) -> None:
    if not early:
        return
    taken.labels("held").inc(len(early))
    await tx.execute(
        _HOLD,
        [i.topic for i in early],
        [i.key for i in early],
        [i.seq for i in early],
        [_stored(i.headers) for i in early],
        [i.value or b"" for i in early],
    )


async def _park(tx: Tx, incoming: Incoming, state: str, error: str | None) -> None:
    taken.labels(state).inc()
    if error:
        error = f"{error}; {NEXT_WITHOUT_KEY if incoming.key is None else NEXT}"
    await tx.execute(
        _PARK, incoming.topic, incoming.partition, incoming.offset, incoming.key, incoming.seq,
        _stored(incoming.headers), incoming.raw_key, incoming.value, state, error and storable(error),
    )  # fmt: skip


def _stored(headers: Mapping[str, str]) -> str:
    return msgspec.json.encode({storable(name): storable(value) for name, value in headers.items()}).decode()
