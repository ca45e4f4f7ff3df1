"""SQL of due customers and of the figures that lists show."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from scoring.bands.domain import Change, Due, Score, Timer
from scoring.care.domain import Served
from scoring.facts.domain import decode
from shared.db import Tx, array

# What else is known of each is looked up one by one: however many rows the planner expects, by an index.
_WITH_TOLD = """
SELECT s.customer_id, s.state, (SELECT band FROM customer_score c WHERE c.customer_id = s.customer_id),
       s.due_at, s.begins_band, s.xmin::text::bigint
FROM ({}) s
"""
_COUNTED = """
SELECT n.customer_id,
       coalesce((SELECT last_seq FROM stream_progress p
                 WHERE p.topic = 'patron.orders' AND p.key = n.customer_id::text), 0),
       coalesce((SELECT last_seq FROM stream_progress p
                 WHERE p.topic = 'patron.service_desk' AND p.key = n.customer_id::text), 0)
FROM unnest($1::text::uuid[]) AS n (customer_id)
"""
DUE = _WITH_TOLD.format("SELECT *, xmin FROM customer_state WHERE due_at <= $1 ORDER BY due_at LIMIT $2")
BEGINNING = _WITH_TOLD.format("""
SELECT *, xmin FROM customer_state WHERE due_at <= $1 AND begins_band AND (due_at, customer_id) > ($3, $4)
ORDER BY due_at, customer_id LIMIT $2
""")
_LATEST = _WITH_TOLD.format("""
SELECT *, xmin FROM customer_state WHERE due_at <= $1 AND customer_id <> ALL($3) ORDER BY due_at DESC LIMIT $2
""")
_OUTDATED = """
SELECT s.*, s.xmin FROM customer_score c JOIN customer_state s ON s.customer_id = c.customer_id
WHERE (c.model_version, c.weights_version) {} ($1, $2) AND (c.aside_until IS NULL OR c.aside_until <= $4)
ORDER BY c.model_version, c.weights_version LIMIT $3
"""
_OLDER, _NEWER = _WITH_TOLD.format(_OUTDATED.format("<")), _WITH_TOLD.format(_OUTDATED.format(">"))
_AGAIN = _WITH_TOLD.format("SELECT *, xmin FROM customer_state WHERE customer_id = ANY($1)")
# These wait for nobody, so they deadlock with nobody. Whoever is held is another worker's, or just changing.
_LOCK = """
SELECT s.customer_id FROM unnest($1::text::uuid[], $2::text::bigint[]) AS n (customer_id, written_by)
JOIN customer_state s ON s.customer_id = n.customer_id WHERE s.xmin::text::bigint = n.written_by
FOR UPDATE OF s SKIP LOCKED
"""
_LOCK_CHANGED = """
SELECT s.customer_id
FROM unnest($1::text::uuid[], $2::text::timestamptz[]) AS n (customer_id, due_at)
JOIN customer_state s ON s.customer_id = n.customer_id
WHERE s.due_at IS NOT DISTINCT FROM n.due_at LIMIT $3
FOR UPDATE OF s SKIP LOCKED
"""
# Statements of their own: under the locks they see what another worker has told just before.
_AS_TOLD = """
SELECT n.customer_id FROM unnest($1::text::uuid[], $2::text::text[]) AS n (customer_id, band)
LEFT JOIN customer_score c ON c.customer_id = n.customer_id WHERE c.band IS NOT DISTINCT FROM n.band
"""
_SAVE = """
INSERT INTO customer_score (customer_id, churn, band, p_alive, expected_purchases, loyalty, value_minor,
                            model_version, weights_version, scored_at)
SELECT *, $8, $9, $10
FROM unnest($1::text::uuid[], $2::text::float8[], $3::text::text[], $4::text::float8[], $5::text::float8[],
            $6::text::float8[], $7::text::bigint[])
ON CONFLICT (customer_id) DO UPDATE
SET churn = excluded.churn, band = excluded.band, p_alive = excluded.p_alive,
    expected_purchases = excluded.expected_purchases, loyalty = excluded.loyalty,
    value_minor = excluded.value_minor, model_version = excluded.model_version,
    weights_version = excluded.weights_version, scored_at = excluded.scored_at, aside_until = NULL,
    changed = pg_current_xact_id()::text::bigint
"""
# Not deleted: whoever reads what has changed could not see that.
_FORGET = """
UPDATE customer_score
SET band = NULL, model_version = $2, weights_version = $3, changed = pg_current_xact_id()::text::bigint
WHERE customer_id = ANY($1) AND (band IS NOT NULL OR (model_version, weights_version) <> ($2, $3))
"""
_SET_ASIDE = "UPDATE customer_score SET aside_until = $2 WHERE customer_id = ANY($1)"
# Nothing else: the list says with `as_of` that it shows them as they were before.
_TELL = """
UPDATE customer_score c SET band = n.band
FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[]) AS n (customer_id, before, band)
WHERE c.customer_id = n.customer_id AND c.band = n.before
RETURNING c.customer_id
"""
_SET_TIMERS = """
UPDATE customer_state s SET due_at = n.due_at, begins_band = n.begins_band
FROM unnest($1::text::uuid[], $2::text::timestamptz[], $3::text::boolean[])
    AS n (customer_id, due_at, begins_band)
WHERE s.customer_id = n.customer_id
"""
# By all workers: each of them keeps PostgreSQL busy.
_TAKEN_IN = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offset"


class Place(NamedTuple):
    """A place in the order of timers."""

    due_at: datetime
    customer_id: UUID


FIRST = Place(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


async def events_taken_in(tx: Tx) -> int:
    """How far in the logs the workers are, to be compared with how far they were before."""
    return int(await tx.fetchval(_TAKEN_IN))


async def find_due(tx: Tx, now: datetime, limit: int) -> list[Due]:
    """Customers with new facts, and those whose timer rang by now.

    Where there are more than fit, half of them are those due longest, half those due just now: so a mass of
    them holds nobody up who comes after it.
    """
    longest = await _find(tx, DUE, now, limit // 2)
    if len(longest) < limit // 2:
        return longest
    known = [one.customer_id for one in longest]
    return [*longest, *await _find(tx, _LATEST, now, limit - len(longest), known)]


async def find_beginning(tx: Tx, now: datetime, after: Place, limit: int) -> tuple[list[Due], Place, bool]:
    """Customers with figures whose next band was to begin by now, after a place in the order of timers; the
    place up to which that is; and whether there may be more, however few of those found have figures."""
    found = await _find(tx, BEGINNING, now, limit, *after)
    if found and found[-1].due_at:
        after = Place(found[-1].due_at, found[-1].customer_id)
    return [one for one in found if one.band], after, len(found) == limit


async def find_outdated(tx: Tx, served: Served, now: datetime, limit: int) -> list[Due]:
    """Customers last scored with another model, an older one or a newer one that was taken back, or with
    other weights of loyalty; without those set aside, or they would come first at every look."""
    given = (*_computed_with(served), limit, now)
    return await _find(tx, _OLDER, *given) or await _find(tx, _NEWER, *given)


async def lock_unchanged(tx: Tx, due: Sequence[Due]) -> list[Due]:
    """Keep hold of those whose state and timer are as they were; answers them."""
    await _one_by_one(tx)
    known = {one.customer_id: one for one in due}
    locked = await tx.fetch(_LOCK, array(list(known)), array([one.written_by for one in due]))
    return [known[r[0]] for r in locked]


async def as_told(tx: Tx, held: Sequence[Due]) -> set[UUID]:
    """Those, of whom this transaction keeps hold, of whom nobody has told another band meanwhile."""
    told = await tx.fetch(
        _AS_TOLD, array([one.customer_id for one in held]), array([one.band for one in held])
    )
    return {r[0] for r in told}


async def lock_changed(tx: Tx, due: Sequence[Due], limit: int) -> list[Due]:
    """Keep hold of some who are still due when they were; answers how they are now."""
    await _one_by_one(tx)
    locked = await tx.fetch(
        _LOCK_CHANGED, array([one.customer_id for one in due]), array([one.due_at for one in due]), limit
    )
    return await _find(tx, _AGAIN, [r[0] for r in locked])


async def _find(tx: Tx, statement: str, *given: object) -> list[Due]:
    await _by_index(tx)
    return [Due(who, decode(state), *more) for who, state, *more in await tx.fetch(statement, *given)]


async def events_counted(tx: Tx, customer_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Up to which events of orders and of the service desk these customers' states count, whom this
    transaction holds."""
    found = await tx.fetch(_COUNTED, array(customer_ids))
    return {who: (orders, service_desk) for who, orders, service_desk in found}


async def _by_index(tx: Tx) -> None:
    """From here to its end, this transaction looks rows up by indexes, and writes them so."""
    # Plans are kept: one made while a table was small must do when it has grown.
    await tx.execute("SET LOCAL enable_seqscan = off")


async def _one_by_one(tx: Tx) -> None:
    """As `_by_index`; a plan made for the very rows given would read a whole index where these are many."""
    await _by_index(tx)
    await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")


async def save(tx: Tx, scores: Sequence[Score], served: Served, scored_at: datetime) -> None:
    """Store figures, all of one model and instant."""
    if scores:
        await tx.execute(
            _SAVE,
            *map(array, zip(*scores, strict=True)),
            *_computed_with(served),
            scored_at,
        )


async def forget(tx: Tx, customer_ids: Sequence[UUID], served: Served) -> None:
    """From now on there are no figures of these customers: they have no purchase left."""
    if customer_ids:
        await tx.execute(_FORGET, customer_ids, *_computed_with(served))


async def set_aside(tx: Tx, customer_ids: Sequence[UUID], until: datetime) -> None:
    """They keep the figures they have: those of another model are not computed anew until then."""
    if customer_ids:
        await tx.execute(_SET_ASIDE, customer_ids, until)


async def tell(tx: Tx, changes: Sequence[Change]) -> list[Change]:
    """Remember the bands of customers with figures, of whom this transaction keeps hold; answers the changes
    that nobody has told meanwhile."""
    known = {change.customer_id: change for change in changes}
    told = await tx.fetch(
        _TELL,
        array(list(known)),
        array([change.before for change in changes]),
        array([change.after for change in changes]),
    )
    return [known[r[0]] for r in told]


async def set_timers(tx: Tx, timers: Mapping[UUID, Timer]) -> None:
    """When each customer is due next."""
    await tx.execute(
        _SET_TIMERS,
        array(list(timers)),
        array([timer.at for timer in timers.values()]),
        array([timer.begins_band for timer in timers.values()]),
    )


def _computed_with(served: Served) -> tuple[int, int]:
    return served.version, served.loyalty_weights.version
