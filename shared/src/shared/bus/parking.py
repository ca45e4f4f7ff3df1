"""Parked events: what could not be applied is listed, shown, retried, edited or discarded, by somebody."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import msgspec

from shared.bus.inbox import Inbox
from shared.bus.reading import Incoming
from shared.bus.retry import is_transient
from shared.bus.tables import ParkedEvent
from shared.db import Database, Tx, row, rows
from shared.errors import Conflict, NotFound

_LIST = """
SELECT * FROM parked_event
WHERE state IN ('parked', 'queued') AND id > $1 AND ($2::text IS NULL OR key = $2) ORDER BY id LIMIT $3
"""
_CLOSE = """
UPDATE parked_event SET state = $2, closed_at = now(), actor = $3, reason = $4
WHERE id = $1 AND state IN ('parked', 'queued')
"""
_FIRST_OF_EACH = "SELECT id FROM parked_event WHERE state = 'parked' ORDER BY id"
_LOCK_STREAM = "SELECT last_seq FROM stream_progress WHERE topic = $1 AND key = $2 FOR UPDATE"
_WAITING = """
SELECT * FROM parked_event WHERE topic = $1 AND key = $2 AND state IN ('parked', 'queued') ORDER BY seq, id
"""


async def list_parked(
    tx: Tx, *, after_id: int = 0, key: str | None = None, limit: int = 50
) -> list[ParkedEvent]:
    """Events that wait for a person, and those queued behind them, oldest first."""
    return rows(ParkedEvent, map(_record, await tx.fetch(_LIST, after_id, key, limit)))


async def get(tx: Tx, parked_id: int) -> ParkedEvent:
    """One parked event as it came; raises `NotFound`."""
    found = await tx.fetchrow("SELECT * FROM parked_event WHERE id = $1", parked_id)
    if found is None:
        raise NotFound(f"there is no parked event {parked_id}; list them to see which there are")
    return row(ParkedEvent, _record(found))


async def retry(tx: Tx, inbox: Inbox, parked_id: int, *, actor: str, reason: str) -> list[ParkedEvent]:
    """Apply it again, with all that waits behind it; answers what is parked for its key afterwards.

    What has no key, and can still not be read, stays as it is.
    Raises `NotFound`, or `Conflict` when it no longer waits.
    """
    event = await _waiting(tx, parked_id)
    return await _redrive(tx, inbox, event, actor, reason)


class Retried(NamedTuple):
    """A parked event that was retried among all: what is parked of its key afterwards, or what kept it from
    being tried at this moment."""

    id: int
    left: list[ParkedEvent]
    problem: Exception | None = None


async def retry_all(db: Database, inbox: Inbox, *, actor: str, reason: str) -> AsyncIterator[Retried]:
    """Apply again whatever is parked now, once each. What cannot be tried for the moment, as somebody holds
    a lock, say, stays parked, and the others follow.

    Each is a transaction of its own: stopped in between, what was done is done.
    """
    async with db.read() as tx:
        now_parked = [r["id"] for r in await tx.fetch(_FIRST_OF_EACH)]
    for parked_id in now_parked:
        try:
            async with db.tx() as tx:
                left = await retry(tx, inbox, parked_id, actor=actor, reason=reason)
        except Conflict:  # somebody has just dealt with it
            continue
        except Exception as problem:
            if not is_transient(problem):
                raise
            yield Retried(parked_id, [], problem)
        else:
            yield Retried(parked_id, left)


async def edit(
    tx: Tx, inbox: Inbox, parked_id: int, *, headers: dict[str, str], value: bytes, actor: str, reason: str
) -> list[ParkedEvent]:
    """Put other headers and another value in its place, then retry. The original stays on record."""
    event = await _waiting(tx, parked_id)
    await _close(tx, event, "discarded", actor, f"edited: {reason}")
    edited = inbox.read(Incoming(event.topic, headers, value, event.raw_key, event.partition, event.offset))
    if edited.problem:
        raise Conflict(f"the edited event still cannot be applied: {edited.problem}")
    if event.key not in (None, edited.key) or event.seq not in (None, edited.seq):
        raise Conflict(
            f"an edited event keeps its place, ce_partitionkey {event.key} and ce_sequence {event.seq}:"
            " elsewhere it would displace another event, and leave a gap here"
        )
    return await _redrive(tx, inbox, event, actor, reason, instead=edited)


async def discard(tx: Tx, inbox: Inbox, parked_id: int, *, actor: str, reason: str) -> list[ParkedEvent]:
    """Give it up for good: its key goes on without it."""
    event = await _waiting(tx, parked_id)
    await _close(tx, event, "discarded", actor, reason)
    if event.key is None or event.seq is None:
        return []
    waiting = await _waiting_of(tx, event.topic, event.key)
    if not any(w.seq == event.seq for w in waiting):
        await _step_over(tx, event, waiting)
    return await _redrive(tx, inbox, event, actor, reason)


async def _step_over(tx: Tx, event: ParkedEvent, waiting: list[ParkedEvent]) -> None:
    """Nothing else claims this place in the sequence: the key goes on behind it."""
    moved = await tx.execute(
        "UPDATE stream_progress SET last_seq = $3 WHERE topic = $1 AND key = $2 AND last_seq = $3 - 1",
        event.topic, event.key, event.seq,
    )  # fmt: skip
    before = [w.id for w in waiting if w.seq and event.seq and w.seq < event.seq]
    if moved == "UPDATE 0" and before:
        raise Conflict(
            f"parked event {event.id} waits behind {before[0]}; deal with that one first: a place in the"
            " middle cannot be left out"
        )


async def _redrive(
    tx: Tx, inbox: Inbox, event: ParkedEvent, actor: str, reason: str, instead: Incoming | None = None
) -> list[ParkedEvent]:
    if event.key is None:
        waiting = [] if instead else [event]
        if any(_as_it_came(inbox, w).problem for w in waiting):
            return waiting  # parked anew, it would only get another id
    else:
        waiting = await _waiting_of(tx, event.topic, event.key)
        await tx.execute(
            "UPDATE stream_progress SET parked = false WHERE topic = $1 AND key = $2", event.topic, event.key
        )
    incomings = [instead] if instead else []
    for w in waiting:
        await _close(tx, w, "retried", actor, reason)
        incomings.append(_as_it_came(inbox, w))
    await inbox.take_in(tx, sorted(incomings, key=lambda i: i.seq or 0))
    key = event.key or incomings[0].key  # one that had none has got its key now
    return [] if key is None else await _waiting_of(tx, event.topic, key)


def _as_it_came(inbox: Inbox, event: ParkedEvent) -> Incoming:
    """Read once more: what could not be read then may be by now."""
    return inbox.read(
        Incoming(event.topic, event.headers, event.value, event.raw_key, event.partition, event.offset)
    )


async def _waiting(tx: Tx, parked_id: int) -> ParkedEvent:
    event = await get(tx, parked_id)
    if event.key is not None:
        await tx.execute(_LOCK_STREAM, event.topic, event.key)
        event = await get(tx, parked_id)
    if event.state not in ("parked", "queued"):
        raise Conflict(f"parked event {parked_id} is already {event.state}")
    return event


async def _waiting_of(tx: Tx, topic: str, key: str) -> list[ParkedEvent]:
    return rows(ParkedEvent, map(_record, await tx.fetch(_WAITING, topic, key)))


async def _close(tx: Tx, event: ParkedEvent, state: str, actor: str, reason: str) -> None:
    if await tx.execute(_CLOSE, event.id, state, actor, reason) == "UPDATE 0":
        raise Conflict(f"parked event {event.id} has just been dealt with; list them to see how")


def _record(record: asyncpg.Record) -> dict[str, object]:
    return dict(record) | {"headers": msgspec.json.decode(record["headers"])}
