"""SQL of reading scores."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from scoring.facts.domain import Spell, decode
from scoring.models.complaints import OPEN
from scoring.serving.domain import CitedComplaint, Known
from scoring.serving.receipts import RESOLVED, Citations, Cited
from shared.db import Tx
from shared.errors import NotFound
from shared.events.scoring import Band

MOST_CITED = 10

# Each by its index: as a join, all that is stored would be read for a few customers.
_FIND = f"""
SELECT s.customer_id, s.state, (SELECT band FROM customer_score c WHERE c.customer_id = s.customer_id),
       (SELECT last_seq FROM stream_progress o WHERE topic = 'patron.orders' AND key = s.customer_id::text),
       (SELECT last_seq FROM stream_progress d
        WHERE topic = 'patron.service_desk' AND key = s.customer_id::text),
       ARRAY(SELECT event_id FROM purchase_fact p WHERE p.customer_id = s.customer_id AND p.counts
                 AND p.known_until IS NULL
             ORDER BY p.ordered_at DESC, p.order_id LIMIT {MOST_CITED}),
       ARRAY(SELECT jsonb_build_array(event_id, spells) FROM complaint_fact f
             WHERE f.customer_id = s.customer_id AND f.counts AND f.known_until IS NULL
             ORDER BY f.spells -> 0 -> 0 DESC, f.ticket_id LIMIT {MOST_CITED})
FROM customer_state s WHERE s.customer_id = ANY($1)
"""
_RESOLVED = """
customer_id = $1 AND counts AND known_until IS NULL AND jsonb_path_exists(spells, '$[*][2] ? (@ == {0})')
"""
_CITE = f"""
SELECT ARRAY(SELECT event_id FROM purchase_fact
             WHERE customer_id = $1 AND counts AND known_until IS NULL AND amount_minor < list_amount_minor
             ORDER BY ordered_at DESC, order_id LIMIT {MOST_CITED})
""" + "".join(
    f""",
       ARRAY(SELECT event_id FROM complaint_fact WHERE {_RESOLVED.format(phase)}
             ORDER BY spells -> 0 -> 0 DESC, ticket_id LIMIT {MOST_CITED}),
       (SELECT count(*) FROM complaint_fact WHERE {_RESOLVED.format(phase)})
"""
    for phase in RESOLVED.values()
)
_PROGRESS = """
SELECT coalesce(p.last_seq, 0) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (topic, key, place)
LEFT JOIN stream_progress p ON p.topic = n.topic AND p.key = n.key ORDER BY n.place
"""

_cited = msgspec.json.Decoder(tuple[UUID, tuple[Spell, ...]])


async def list_known(tx: Tx, customer_ids: Collection[UUID]) -> dict[UUID, Known]:
    """What is known of these customers; without those who are not known."""
    return {row[0]: _known(*row) for row in await tx.fetch(_FIND, customer_ids)}


async def get(tx: Tx, customer_id: UUID) -> Known:
    """What is known of a customer."""
    found = await list_known(tx, [customer_id])
    if not found:
        raise unknown(customer_id)
    return found[customer_id]


def _known(
    customer_id: UUID,
    state: bytes,
    band: Band | None,
    orders: int | None,
    service_desk: int | None,
    purchases: Sequence[UUID],
    complaints: Sequence[str],
) -> Known:
    cited = [_cited.decode(complaint) for complaint in complaints]
    return Known(
        customer_id,
        decode(state),
        band,
        orders or 0,
        service_desk or 0,
        purchases,
        [CitedComplaint(event_id, phases(spells)) for event_id, spells in cited],
    )


async def cite(tx: Tx, customer_id: UUID) -> Citations:
    """What a receipt cites besides."""
    found = await tx.fetchrow(_CITE, customer_id)
    assert found is not None
    discounted, *resolved = found
    return Citations(
        discounted,
        {
            code: Cited(events, total)
            for code, events, total in zip(RESOLVED, resolved[::2], resolved[1::2], strict=True)
        },
    )


def unknown(customer_id: UUID) -> NotFound:
    """There is no such customer, or none that the caller may see."""
    return NotFound(
        f"No customer {customer_id} is known here. A customer is known as soon as the event of their "
        "creation has arrived; to wait for it, send the Sync-Token of the creation with Prefer: wait=5."
    )


async def progress(tx: Tx, streams: Sequence[tuple[str, str]]) -> list[int]:
    """How far each stream, a topic and a key, has been applied."""
    topics, keys = [topic for topic, _ in streams], [key for _, key in streams]
    return [r[0] for r in await tx.fetch(_PROGRESS, topics, keys)]


def phases(spells: Sequence[Spell]) -> frozenset[int]:
    """The phases that a complaint with these spells has been in."""
    return frozenset({OPEN, *(spell.outcome for spell in spells)})
