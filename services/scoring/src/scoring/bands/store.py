"""SQL of due customers and of the figures that lists show."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from scoring.bands.domain import Due, Score
from scoring.care.domain import Served
from scoring.facts.domain import decode
from shared.db import Tx

# Whoever is locked is another worker's, or just changing and due again after that.
_LOCK_DUE = """
SELECT customer_id, state FROM customer_state WHERE due_at <= $1
ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_LOCK_LATEST = """
SELECT customer_id, state FROM customer_state WHERE due_at <= $1 AND customer_id <> ALL($3)
ORDER BY due_at DESC LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_LOCK_OUTDATED = """
SELECT s.customer_id, s.state FROM customer_score c JOIN customer_state s ON s.customer_id = c.customer_id
WHERE (c.model_version, c.weights_version) {} ($1, $2)
ORDER BY c.model_version, c.weights_version LIMIT $3 FOR UPDATE OF s SKIP LOCKED
"""
_OLDER, _NEWER = _LOCK_OUTDATED.format("<"), _LOCK_OUTDATED.format(">")
# Asked only under the locks, so that no other worker can have told of a change in between.
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
_SET_TIMERS = """
UPDATE customer_state s SET due_at = n.due_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS n (customer_id, due_at) WHERE s.customer_id = n.customer_id
"""


async def take_due(tx: Tx, now: datetime, limit: int) -> list[Due]:
    """Customers with new facts, and those whose timer rang by now.

    Where there are more than fit, half of them are those due longest, half those due just now: so a mass of
    them holds nobody up who comes after it.
    """
    longest = await tx.fetch(_LOCK_DUE, now, limit // 2)
    if len(longest) < limit // 2:
        return await _due(tx, longest)
    latest = await tx.fetch(_LOCK_LATEST, now, limit - len(longest), [r[0] for r in longest])
    return await _due(tx, [*longest, *latest])


async def take_outdated(tx: Tx, served: Served, limit: int) -> list[Due]:
    """Customers last scored with another model, an older one or a newer one that was taken back, or with
    other weights of loyalty."""
    given = (*_computed_with(served), limit)
    return await _due(tx, await tx.fetch(_OLDER, *given) or await tx.fetch(_NEWER, *given))


async def _due(tx: Tx, locked: Sequence[Any]) -> list[Due]:
    if not locked:
        return []
    told = {r[0]: r for r in await tx.fetch(_TOLD, [r[0] for r in locked])}
    return [
        Due(customer_id, decode(state), *(told[customer_id][field] for field in (1, 2, 3)))
        for customer_id, state in locked
    ]


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


async def set_timers(tx: Tx, timers: Mapping[UUID, datetime | None]) -> None:
    """When each customer is due next; None: when something happens."""
    await tx.execute(_SET_TIMERS, list(timers), list(timers.values()))


def _computed_with(served: Served) -> tuple[int, int]:
    return served.version, served.loyalty_weights.version
