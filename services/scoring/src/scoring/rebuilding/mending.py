"""Comparing the shadow with the live tables, and mending what differs, customer by customer.

Versions of facts, states and places in the streams are compared; since when a fact was known is the live
side's alone, as are timers. All is compared at once while both sides go on, so whoever has just had an event
may seem to differ. Everybody who does is looked at again while both sides wait, and what differs then is
written; but of whom the shadow has counted more than the live side has yet, not before that has it too.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Table

from scoring.facts.domain import EMPTY, encode
from scoring.facts.handlers import COUNTED
from scoring.rebuilding.shadow import FACTS, LIVE_GROUP
from shared.bus.relay import partition_of
from shared.db import Tx, array

BATCH = 1000
"""So many customers are looked at again in one transaction: the live consumer waits that long."""
_COMPARE_SECONDS = 6 * 3600
_NOTHING = encode(EMPTY)
_TOPICS = sorted({event.topic for event in COUNTED})


class Mended(NamedTuple):
    """Of the customers up to `last`, how many had another state than the log tells, and how many were kept as
    they are because a person had decided of their events. Who must wait for the live side is in neither."""

    last: str
    different: int
    kept: int


def _told(table: Table) -> list[str]:
    """The columns in which the log tells of a fact: all but when it was known."""
    return [column.name for column in table.columns if not column.name.startswith("known_")]


def _row(table: Table, side: str) -> str:
    """What the log tells of a fact, and whether a later version supersedes it."""
    return f"({', '.join(f'{side}.{name}' for name in _told(table))}, {side}.known_until IS NULL)"


def _key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _remove_facts(table: Table) -> str:
    same = " AND ".join(f"r.{name} = l.{name}" for name in ("customer_id", *_key(table)))
    return f"""
DELETE FROM public.{table.name} l WHERE customer_id = ANY($1::text::uuid[])
AND NOT EXISTS (SELECT FROM rebuild.{table.name} r WHERE {same})
"""


def _mend_facts(table: Table) -> str:
    # A fact was known since scoring first counted it, not since it was counted again.
    key = _key(table)
    values = ", ".join(f"{name} = excluded.{name}" for name in _told(table) if name not in key)
    return f"""
INSERT INTO public.{table.name} AS l
SELECT r.* FROM rebuild.{table.name} r WHERE customer_id = ANY($1::text::uuid[])
ON CONFLICT ({", ".join(key)}) DO UPDATE
SET {values},
    known_until = CASE WHEN excluded.known_until IS NULL THEN NULL
                  ELSE coalesce(l.known_until, excluded.known_until) END
WHERE {_row(table, "l")} IS DISTINCT FROM {_row(table, "excluded")}
"""


def _different_facts(table: Table) -> str:
    return f"""
    SELECT unnest(ARRAY[l.customer_id, r.customer_id])::text
    FROM public.{table.name} l FULL JOIN rebuild.{table.name} r USING ({", ".join(_key(table))})
    WHERE {_row(table, "l")} IS DISTINCT FROM {_row(table, "r")}"""


_ELSEWHERE = "(l.last_seq, l.parked, l.held) IS DISTINCT FROM (r.last_seq, r.parked, r.held)"
_COMPARE = f"""
CREATE UNLOGGED TABLE rebuild.suspect AS
SELECT DISTINCT key FROM (
    SELECT customer_id::text
    FROM public.customer_state l FULL JOIN rebuild.customer_state r USING (customer_id)
    WHERE l.state IS DISTINCT FROM coalesce(r.state, '\\x{_NOTHING.hex()}')
    UNION ALL
    SELECT key FROM public.stream_progress l FULL JOIN rebuild.stream_progress r USING (topic, key)
    WHERE {_ELSEWHERE}
    UNION ALL{" UNION ALL".join(map(_different_facts, FACTS))}
) s (key) WHERE key IS NOT NULL
"""
_ANY_LEFT = "SELECT EXISTS (SELECT FROM rebuild.suspect)"
_SETTLED = "DELETE FROM rebuild.suspect WHERE key = ANY($1)"
_AHEAD = """
SELECT topic, partition, count(*) OVER (PARTITION BY topic), r.next_offset > l.next_offset
FROM public.consumer_offset l LEFT JOIN rebuild.consumer_offset r USING (topic, partition)
WHERE l.group_id = $1 AND topic = ANY($2)
"""
_OF_OTHER_PLACES = f"""
SELECT DISTINCT key FROM rebuild.stream_progress r LEFT JOIN public.stream_progress l USING (topic, key)
WHERE topic = ANY($1) AND key = ANY($2) AND {_ELSEWHERE}
"""
_NEXT = "SELECT key FROM rebuild.suspect WHERE key > $1 ORDER BY key LIMIT $2"
# In this order the live consumer takes them too.
_LOCK_PLACES = """
SELECT FROM public.stream_progress WHERE topic = ANY($1) AND key = ANY($2) ORDER BY topic, key FOR UPDATE
"""
_LOCK_STATES = """
SELECT FROM public.customer_state WHERE customer_id = ANY($1::text::uuid[]) ORDER BY customer_id FOR UPDATE
"""
# The log alone does not say what a person decided of an event that could not be applied.
_KEPT = f"{_OF_OTHER_PLACES} AND l.last_seq IS NOT NULL AND (r.parked OR r.held)"
# What the replay met out of order is not news; what was not told yet still is.
_MEND_STATES = """
INSERT INTO public.customer_state AS l (customer_id, state, due_at, restated_from)
SELECT n.id, coalesce(r.state, $2), now(), c.state
FROM unnest($1::text::uuid[]) AS n (id)
LEFT JOIN public.customer_state c ON c.customer_id = n.id
LEFT JOIN rebuild.customer_state r ON r.customer_id = n.id
WHERE c.state IS DISTINCT FROM coalesce(r.state, $2) AND coalesce(c.customer_id, r.customer_id) IS NOT NULL
ON CONFLICT (customer_id) DO UPDATE
SET state = excluded.state, due_at = least(l.due_at, excluded.due_at),
    restated_from = coalesce(l.restated_from, excluded.restated_from)
RETURNING customer_id
"""
_MEND_FACTS = [statement(table) for table in FACTS for statement in (_remove_facts, _mend_facts)]
_REMOVE_PLACES = """
DELETE FROM public.stream_progress l WHERE topic = ANY($1) AND key = ANY($2)
AND NOT EXISTS (SELECT FROM rebuild.stream_progress r WHERE (r.topic, r.key) = (l.topic, l.key))
"""
_MEND_PLACES = """
INSERT INTO public.stream_progress AS l (topic, key, last_seq, parked, held)
SELECT topic, key, last_seq, parked, held FROM rebuild.stream_progress WHERE topic = ANY($1) AND key = ANY($2)
ON CONFLICT (topic, key) DO UPDATE
SET last_seq = excluded.last_seq, parked = excluded.parked, held = excluded.held
WHERE (l.last_seq, l.parked, l.held) IS DISTINCT FROM (excluded.last_seq, excluded.parked, excluded.held)
"""
_CLOSE_PARKED = """
UPDATE public.parked_event p
SET state = 'retried', closed_at = now(), actor = 'rebuild', reason = 'counted by a rebuild'
FROM rebuild.stream_progress r
WHERE r.topic = ANY($1) AND r.key = ANY($2) AND r.topic = p.topic AND r.key = p.key AND NOT r.parked
  AND p.seq <= r.last_seq AND p.state IN ('parked', 'queued')
"""
_RELEASE_HELD = """
DELETE FROM public.held_event h USING rebuild.stream_progress r
WHERE r.topic = ANY($1) AND r.key = ANY($2) AND r.topic = h.topic AND r.key = h.key AND h.seq <= r.last_seq
"""


async def compare(tx: Tx) -> None:
    """Find everybody who may differ. Both sides go on meanwhile; it takes seconds for a million customers."""
    await tx.execute("DROP TABLE IF EXISTS rebuild.suspect")
    await tx.execute("SET LOCAL work_mem = '64MB'")
    await tx.execute(_COMPARE, timeout=_COMPARE_SECONDS)
    await tx.execute("ALTER TABLE rebuild.suspect ADD PRIMARY KEY (key)", timeout=_COMPARE_SECONDS)


async def any_left(tx: Tx) -> bool:
    """Whether there is somebody who had to wait for the live side."""
    return bool(await tx.fetchval(_ANY_LEFT))


async def mend(tx: Tx, after: str) -> Mended | None:
    """Look again at the next of them and write what differs; None where nobody comes after that.

    Both consumers wait; the shadow has counted all that the live side has, or more.
    """
    keys = [r[0] for r in await tx.fetch(_NEXT, after, BATCH)]
    if not keys:
        return None
    await tx.execute("SET LOCAL enable_seqscan = off")  # the shadow's tables were never analysed
    await tx.fetch(_LOCK_PLACES, _TOPICS, keys)
    await tx.fetch(_LOCK_STATES, array(_customers(keys)))
    last, ahead = keys[-1], await _ahead(tx, keys)
    keys = [key for key in keys if key not in ahead]
    await tx.execute(_SETTLED, keys)
    kept = {r[0] for r in await tx.fetch(_KEPT, _TOPICS, keys)}
    keys = [key for key in keys if key not in kept]
    customers = array(_customers(keys))
    for statement in _MEND_FACTS:
        await tx.execute(statement, customers)
    different = await tx.fetch(_MEND_STATES, customers, _NOTHING)
    for statement in (_REMOVE_PLACES, _MEND_PLACES, _CLOSE_PARKED, _RELEASE_HELD):
        await tx.execute(statement, _TOPICS, keys)
    return Mended(last, len(different), len(kept))


async def _ahead(tx: Tx, keys: Sequence[str]) -> set[str]:
    """Of whom the shadow has counted events that the live side has not come to yet.

    To mend them now would take the news from these events: a late one would restate nothing. Whose places
    differ although the live side has come as far has lost something.
    """
    places = await tx.fetch(_AHEAD, LIVE_GROUP, _TOPICS)
    partitions = {topic: count for topic, _, count, _ in places}
    ahead = {(topic, partition) for topic, partition, _, ahead in places if ahead}
    some = [
        key
        for key in keys
        if any((topic, partition_of(key, count)) in ahead for topic, count in partitions.items())
    ]
    return {r[0] for r in await tx.fetch(_OF_OTHER_PLACES, _TOPICS, some)}


def _customers(keys: Sequence[str]) -> list[UUID]:
    found = []
    for key in keys:
        with suppress(ValueError):  # of nobody: whatever came on these topics has a place in its stream
            found.append(UUID(key))
    return found
