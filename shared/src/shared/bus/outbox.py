"""Out: events written in the business transaction, each with a gapless sequence for its topic and key."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.db import Tx, array, new_id
from shared.events.event import Event, encode
from shared.telemetry import current_trace_id, current_traceparent

# The sequence is taken under the row lock of its key, so per key: sequence order = commit order = id order.
# What is sent must not be lost by a crash, so the commit waits for the disk whatever was said before.
# What is unsent has a table of its own: marked in its row, that would be written again, in every index.
_APPEND = """
WITH taken AS (
    INSERT INTO stream_seq (topic, key, seq)
    SELECT * FROM unnest($1::text::text[], $2::text::text[], $3::text::bigint[])
    ON CONFLICT (topic, key) DO UPDATE SET seq = stream_seq.seq + excluded.seq
    RETURNING topic, key, seq, set_config('synchronous_commit', NULL, true)
), kept AS (
    INSERT INTO outbox (day, topic, key, seq, event_id, type, payload, at,
                        correlation_id, causation_id, traceparent)
    SELECT (now() AT TIME ZONE 'utc')::date, topic, key, t.seq - e.later, e.event_id, e.type,
           decode(e.payload, 'base64'), $10, $11, $12, $13
    FROM unnest($4::text::text[], $5::text::text[], $6::text::bigint[], $7::text::uuid[], $8::text::text[],
                $9::text::text[]) WITH ORDINALITY AS e (topic, key, later, event_id, type, payload, n)
    JOIN taken t USING (topic, key) ORDER BY e.n RETURNING id, day, seq
), waiting AS (
    INSERT INTO outbox_unsent (id, day) SELECT id, day FROM kept
)
SELECT seq FROM kept
"""

# The same for the usual case of one event: a tenth of the planning and none of the sorting.
_APPEND_ONE = """
WITH taken AS (
    INSERT INTO stream_seq (topic, key, seq) VALUES ($1, $2, 1)
    ON CONFLICT (topic, key) DO UPDATE SET seq = stream_seq.seq + 1
    RETURNING seq, set_config('synchronous_commit', NULL, true)
), kept AS (
    INSERT INTO outbox (day, topic, key, seq, event_id, type, payload, at,
                        correlation_id, causation_id, traceparent)
    SELECT (now() AT TIME ZONE 'utc')::date, $1, $2, taken.seq, $3, $4, $5, $6, $7, $8, $9 FROM taken
    RETURNING id, day, seq
), waiting AS (
    INSERT INTO outbox_unsent (id, day) SELECT id, day FROM kept
)
SELECT seq FROM kept
"""


class Emitted(NamedTuple):
    """An event's place in its stream, for `Sync-Token` and for evidence."""

    topic: str
    key: str
    seq: int
    event_id: UUID


async def emit(tx: Tx, *events: Event, at: datetime, caused_by: UUID | None = None) -> list[Emitted]:
    """Publish events with the transaction, in the order given; the last statement before its commit.

    `at` is when it happened. A rollback leaves no gap in the sequence. Several keys are locked in sorted
    order, so that writers never deadlock.
    """
    if not events:
        return []
    ids = [new_id() for _ in events]
    context = (
        at,
        current_trace_id(),
        str(caused_by) if caused_by else None,
        current_traceparent(),
    )
    places = [(event.topic, event.key) for event in events]
    if len(events) == 1:
        (event,) = events
        found = await tx.fetch(_APPEND_ONE, *places[0], ids[0], event.wire_name, encode(event), *context)
    else:
        in_batch = Counter(places)
        streams = sorted(in_batch)
        found = await tx.fetch(
            _APPEND,
            array([topic for topic, _ in streams]),
            array([key for _, key in streams]),
            array([in_batch[stream] for stream in streams]),
            array([topic for topic, _ in places]),
            array([key for _, key in places]),
            array(_later(places)),
            array(ids),
            array([event.wire_name for event in events]),
            array([encode(event) for event in events]),
            *context,
        )
    return [Emitted(*place, r[0], id_) for place, r, id_ in zip(places, found, ids, strict=True)]


def _later(places: Sequence[tuple[str, str]]) -> list[int]:
    """Of each, how many come after it at the same place."""
    left, later = Counter(places), []
    for place in places:
        left[place] -= 1
        later.append(left[place])
    return later


_AFTER = """
SELECT seq, event_id, type, at, correlation_id, causation_id, traceparent, payload FROM outbox
WHERE topic = $1 AND key = $2 AND seq > $3 ORDER BY seq LIMIT $4
"""


async def list_after(tx: Tx, topic: str, key: str, after_seq: int, limit: int) -> list["Published"]:
    """A key's events after a sequence number, as far back as the outbox keeps them (7 days)."""
    return [
        Published(
            topic,
            key,
            r["seq"],
            headers(r["event_id"], r["type"], key, r["seq"], r["at"], r["correlation_id"], r["causation_id"],
                    r["traceparent"]),
            r["payload"],
        )
        for r in await tx.fetch(_AFTER, topic, key, after_seq, limit)
    ]  # fmt: skip


class Published(NamedTuple):
    """An event as it goes over the wire."""

    topic: str
    key: str
    seq: int
    headers: dict[str, str]
    payload: bytes


def headers(
    event_id: UUID,
    wire_name: str,
    key: str,
    seq: int,
    at: datetime,
    correlation_id: str | None,
    causation_id: str | None,
    traceparent: str | None,
) -> dict[str, str]:
    """CloudEvents 1.0 attributes in Kafka's binary mode."""
    found = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(event_id),
        "ce_source": f"/patron/{wire_name.split('.')[0]}",
        "ce_type": wire_name,
        "ce_time": at.isoformat(),
        "ce_partitionkey": key,
        "ce_sequence": str(seq),
    }
    if correlation_id:
        found["ce_correlationid"] = correlation_id
    if causation_id:
        found["ce_causationid"] = causation_id
    if traceparent:
        found["ce_traceparent"] = traceparent
    return found


# Partitions are made days ahead; one that still has an unsent event is never dropped.
_DAYS = """
SELECT to_char(d, 'YYYY_MM_DD') AS name, d::date AS first, d::date + 1 AS next
FROM generate_series((now() AT TIME ZONE 'utc')::date + 1, (now() AT TIME ZONE 'utc')::date + 7, '1 day') d
WHERE to_regclass('outbox_' || to_char(d, 'YYYY_MM_DD')) IS NULL
"""
_OLD = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'outbox'::regclass AND c.relname ~ '^outbox_\\d'
  AND c.relname < 'outbox_' || to_char((now() AT TIME ZONE 'utc')::date - 7, 'YYYY_MM_DD')
  AND c.relname <> ALL(SELECT 'outbox_' || to_char(day, 'YYYY_MM_DD') FROM outbox_unsent)
"""
_OLD_ELSEWHERE = """
DELETE FROM outbox_default WHERE day < (now() AT TIME ZONE 'utc')::date - 7
AND id <> ALL(SELECT id FROM outbox_unsent)
"""


async def keep_partitions(tx: Tx) -> None:
    """Make the outbox's partitions for the week to come and drop those a week old and wholly sent.

    Raises `LockNotAvailableError` when somebody reads the outbox for long: whoever publishes would have to
    wait behind us.
    """
    await tx.execute("SET LOCAL lock_timeout = '300ms'")
    await tx.execute("SELECT pg_advisory_xact_lock(7468757)")
    for day in await tx.fetch(_DAYS):
        await tx.execute(
            f"CREATE TABLE outbox_{day['name']} PARTITION OF outbox"
            f" FOR VALUES FROM ('{day['first']}') TO ('{day['next']}')"
        )
    for old in await tx.fetch(_OLD):
        await tx.execute(f"DROP TABLE {old['relname']}")
    await tx.execute(_OLD_ELSEWHERE)
