"""SQL of due customers and of the figures that lists show."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from scoring.bands.domain import Due, Score, Timer
from scoring.care.domain import Served
from scoring.facts.domain import decode
from shared.db import Tx
from shared.events.scoring import Band

DUE = """
SELECT customer_id, state, due_at, begins_band FROM customer_state WHERE due_at <= $1
ORDER BY due_at LIMIT $2
"""
BEGINNING = """
SELECT customer_id, state, due_at, begins_band FROM customer_state
WHERE due_at <= $1 AND begins_band AND (due_at, customer_id) > ($3, $4)
ORDER BY due_at, customer_id LIMIT $2
"""
_LATEST = """
SELECT customer_id, state, due_at, begins_band FROM customer_state
WHERE due_at <= $1 AND customer_id <> ALL($3)
ORDER BY due_at DESC LIMIT $2
"""
_OUTDATED = """
SELECT s.customer_id, s.state, s.due_at, s.begins_band
FROM customer_score c JOIN customer_state s ON s.customer_id = c.customer_id
WHERE (c.model_version, c.weights_version) {} ($1, $2)
ORDER BY c.model_version, c.weights_version LIMIT $3
"""
_OLDER, _NEWER = _OUTDATED.format("<"), _OUTDATED.format(">")
# Waits for nobody, so it deadlocks with nobody. Whoever is held is another worker's, or just changing.
_LOCK = """
SELECT s.customer_id, s.state, s.due_at, s.begins_band
FROM unnest($1::uuid[], $2::timestamptz[]) AS n (customer_id, due_at)
JOIN customer_state s ON s.customer_id = n.customer_id
WHERE s.due_at IS NOT DISTINCT FROM n.due_at
FOR UPDATE OF s SKIP LOCKED
"""
# A statement of its own: under the locks it sees what another worker has told just before.
_TOLD = """
SELECT n.customer_id, c.band, coalesce(o.last_seq, 0), coalesce(d.last_seq, 0)
FROM unnest($1::uuid[]) AS n (customer_id)
LEFT JOIN customer_score c ON c.customer_id = n.customer_id
LEFT JOIN stream_progress o ON o.topic = 'patron.orders' AND o.key = n.customer_id::text
LEFT JOIN stream_progress d ON d.topic = 'patron.service_desk' AND d.key = n.customer_id::text
"""
_SAVE = """
INSERT INTO customer_score (customer_id, churn, band, p_alive, expected_purchases, loyalty, value_minor,
                            model_version, weights_version, scored_at)
SELECT *, $8, $9, $10
FROM unnest($1::uuid[], $2::float8[], $3::text[], $4::float8[], $5::float8[], $6::float8[], $7::bigint[])
ON CONFLICT (customer_id) DO UPDATE
SET churn = excluded.churn, band = excluded.band, p_alive = excluded.p_alive,
    expected_purchases = excluded.expected_purchases, loyalty = excluded.loyalty,
    value_minor = excluded.value_minor, model_version = excluded.model_version,
    weights_version = excluded.weights_version, scored_at = excluded.scored_at,
    changed = pg_current_xact_id()::text::bigint
"""
# Not deleted: whoever reads what has changed could not see that.
_FORGET = """
UPDATE customer_score
SET band = NULL, model_version = $2, weights_version = $3, changed = pg_current_xact_id()::text::bigint
WHERE customer_id = ANY($1) AND (band IS NOT NULL OR (model_version, weights_version) <> ($2, $3))
"""
# Nothing else: the list says with `as_of` that it shows them as they were before.
_TELL = """
UPDATE customer_score c SET band = n.band
FROM unnest($1::uuid[], $2::text[]) AS n (customer_id, band) WHERE c.customer_id = n.customer_id
"""
_SET_TIMERS = """
UPDATE customer_state s SET due_at = n.due_at, begins_band = n.begins_band
FROM unnest($1::uuid[], $2::timestamptz[], $3::boolean[]) AS n (customer_id, due_at, begins_band)
WHERE s.customer_id = n.customer_id
"""


class Place(NamedTuple):
    """A place in the order of timers."""

    due_at: datetime
    customer_id: UUID


FIRST = Place(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


async def find_due(tx: Tx, now: datetime, limit: int) -> list[Due]:
    """Customers with new facts, and those whose timer rang by now.

    Where there are more than fit, half of them are those due longest, half those due just now: so a mass of
    them holds nobody up who comes after it.
    """
    longest = await tx.fetch(DUE, now, limit // 2)
    if len(longest) < limit // 2:
        return await _due(tx, longest)
    latest = await tx.fetch(_LATEST, now, limit - len(longest), [r[0] for r in longest])
    return await _due(tx, [*longest, *latest])


async def find_beginning(tx: Tx, now: datetime, after: Place, limit: int) -> tuple[list[Due], Place | None]:
    """Customers with figures whose next band was to begin by now, after a place in the order of timers; and
    the place of the last, None where there is nobody."""
    found = await tx.fetch(BEGINNING, now, limit, *after)
    if not found:
        return [], None
    due = [one for one in await _due(tx, found) if one.band is not None]
    return due, Place(found[-1]["due_at"], found[-1]["customer_id"])


async def find_outdated(tx: Tx, served: Served, limit: int) -> list[Due]:
    """Customers last scored with another model, an older one or a newer one that was taken back, or with
    other weights of loyalty."""
    given = (*_computed_with(served), limit)
    return await _due(tx, await tx.fetch(_OLDER, *given) or await tx.fetch(_NEWER, *given))


async def lock(tx: Tx, due: Sequence[Due]) -> list[Due]:
    """Keep hold of those who are still due when they were, as they are now: of nobody who has been scored
    since, and of nobody whom somebody else holds."""
    return await _due(
        tx, await tx.fetch(_LOCK, [one.customer_id for one in due], [one.due_at for one in due])
    )


async def _due(tx: Tx, found: Sequence[Any]) -> list[Due]:
    if not found:
        return []
    told = {r[0]: r for r in await tx.fetch(_TOLD, [r[0] for r in found])}
    due = []
    for who, state, due_at, begins_band in found:
        _, band, orders_seq, service_desk_seq = told[who]
        due.append(Due(who, decode(state), band, orders_seq, service_desk_seq, due_at, begins_band))
    return due


async def save(tx: Tx, scores: Sequence[Score], served: Served, scored_at: datetime) -> None:
    """Store figures, all of one model and instant."""
    if scores:
        await tx.execute(
            _SAVE,
            [s.customer_id for s in scores],
            [s.churn for s in scores],
            [s.band for s in scores],
            [s.p_alive for s in scores],
            [s.expected_purchases for s in scores],
            [s.loyalty for s in scores],
            [s.value_minor for s in scores],
            *_computed_with(served),
            scored_at,
        )


async def forget(tx: Tx, customer_ids: Sequence[UUID], served: Served) -> None:
    """From now on there are no figures of these customers: they have no purchase left."""
    if customer_ids:
        await tx.execute(_FORGET, customer_ids, *_computed_with(served))


async def tell(tx: Tx, bands: Mapping[UUID, Band]) -> None:
    """Remember which bands were told of these customers, who have figures."""
    if bands:
        await tx.execute(_TELL, list(bands), list(bands.values()))


async def set_timers(tx: Tx, timers: Mapping[UUID, Timer]) -> None:
    """When each customer is due next."""
    await tx.execute(
        _SET_TIMERS, list(timers), [t.at for t in timers.values()], [t.begins_band for t in timers.values()]
    )


def _computed_with(served: Served) -> tuple[int, int]:
    return served.version, served.loyalty_weights.version
