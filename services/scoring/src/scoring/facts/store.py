"""SQL of facts and states. A customer's facts change only under the lock of their state."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from scoring.facts.counting import FactKey
from scoring.facts.domain import (
    EMPTY,
    Complaint,
    Fact,
    Purchase,
    Registration,
    Spell,
    State,
    decode,
    encode,
)
from scoring.facts.reading import micros
from shared.db import Tx

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EMPTY = encode(EMPTY)
_spells = msgspec.json.Decoder(tuple[Spell, ...])

F = TypeVar("F", bound=Fact)

_LOCK = """
SELECT customer_id, state FROM customer_state WHERE customer_id = ANY($1) ORDER BY customer_id FOR UPDATE
"""
_LIST = "SELECT customer_id, state FROM customer_state WHERE customer_id > $1 ORDER BY customer_id LIMIT $2"
_LOST = """
SELECT customer_id FROM (
    SELECT customer_id FROM customer_fact
    UNION SELECT customer_id FROM purchase_fact
    UNION SELECT customer_id FROM complaint_fact
) f WHERE NOT EXISTS (SELECT FROM customer_state s WHERE s.customer_id = f.customer_id)
"""
_ADD = """
INSERT INTO customer_state (customer_id, state) SELECT id, $2 FROM unnest($1::uuid[]) AS n (id) ORDER BY id
ON CONFLICT (customer_id) DO NOTHING
"""

_REGISTRATIONS = (
    "SELECT customer_id, version, event_id, registered_at FROM customer_fact WHERE customer_id = ANY($1)"
)
_PURCHASE = """
SELECT order_id, customer_id, version, event_id, ordered_at, amount_minor, list_amount_minor, counts
FROM purchase_fact WHERE
"""
_COMPLAINT = (
    "SELECT ticket_id, customer_id, version, event_id, severity, counts, spells FROM complaint_fact WHERE"
)

_SAVE_REGISTRATIONS = """
INSERT INTO customer_fact (customer_id, version, event_id, registered_at)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[])
ON CONFLICT (customer_id) DO UPDATE
SET version = excluded.version, event_id = excluded.event_id, registered_at = excluded.registered_at
WHERE customer_fact.version < excluded.version
"""
_SAVE_PURCHASES = """
INSERT INTO purchase_fact
    (order_id, customer_id, version, event_id, ordered_at, amount_minor, list_amount_minor, counts)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::timestamptz[], $6::bigint[],
                     $7::bigint[], $8::bool[])
ON CONFLICT (order_id) DO UPDATE
SET version = excluded.version, event_id = excluded.event_id, ordered_at = excluded.ordered_at,
    amount_minor = excluded.amount_minor, list_amount_minor = excluded.list_amount_minor,
    counts = excluded.counts
WHERE purchase_fact.version < excluded.version
"""
_SAVE_COMPLAINTS = """
INSERT INTO complaint_fact (ticket_id, customer_id, version, event_id, severity, counts, spells)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::smallint[], $6::bool[], $7::jsonb[])
ON CONFLICT (ticket_id) DO UPDATE
SET version = excluded.version, event_id = excluded.event_id, severity = excluded.severity,
    counts = excluded.counts, spells = excluded.spells
WHERE complaint_fact.version < excluded.version
"""
# Due since the fact; a publisher whose clock is ahead must not delay it.
_SAVE_STATES = """
UPDATE customer_state s SET state = n.state, due_at = least(s.due_at, n.due_at, now())
FROM unnest($1::uuid[], $2::bytea[], $3::timestamptz[]) AS n (customer_id, state, due_at)
WHERE s.customer_id = n.customer_id
"""


async def lock_states(tx: Tx, customer_ids: Iterable[UUID]) -> dict[UUID, State]:
    """The states of these customers, who are known from now on; locked in one order, against deadlocks."""
    wanted = list(customer_ids)
    states = {r[0]: decode(r[1]) for r in await tx.fetch(_LOCK, wanted)}
    missing = [customer_id for customer_id in wanted if customer_id not in states]
    if missing:
        await tx.execute(_ADD, missing, _EMPTY)
        states |= {r[0]: decode(r[1]) for r in await tx.fetch(_LOCK, missing)}
    return states


async def list_states(tx: Tx, after: UUID, limit: int) -> dict[UUID, bytes]:
    """Stored states as they are, by customer, from the one after `after` on."""
    return {r[0]: r[1] for r in await tx.fetch(_LIST, after, limit)}


async def list_lost(tx: Tx) -> list[UUID]:
    """Customers who have facts and no state: there must be none."""
    return [r[0] for r in await tx.fetch(_LOST)]


async def save_states(tx: Tx, states: Mapping[UUID, State], due: Mapping[UUID, datetime]) -> None:
    """Store the states; their customers are due to be scored."""
    if states:
        await tx.execute(
            _SAVE_STATES,
            list(states),
            [encode(state) for state in states.values()],
            [due[customer_id] for customer_id in states],
        )


async def find_facts(tx: Tx, facts: Iterable[Fact]) -> dict[FactKey, Fact]:
    """What is known so far of the things that these facts are about."""
    ids: dict[type[Fact], list[UUID]] = defaultdict(list)
    for fact in facts:
        ids[type(fact)].append(fact.id)
    found: list[Fact] = []
    if Registration in ids:
        found += map(_registration, await tx.fetch(_REGISTRATIONS, ids[Registration]))
    if Purchase in ids:
        found += map(_purchase, await tx.fetch(f"{_PURCHASE} order_id = ANY($1)", ids[Purchase]))
    if Complaint in ids:
        found += map(_complaint, await tx.fetch(f"{_COMPLAINT} ticket_id = ANY($1)", ids[Complaint]))
    return {(type(fact), fact.id): fact for fact in found}


async def list_facts(tx: Tx, customer_ids: Iterable[UUID]) -> dict[UUID, list[Fact]]:
    """All facts about these customers."""
    wanted = list(customer_ids)
    facts: dict[UUID, list[Fact]] = defaultdict(list)
    if wanted:
        for r in await tx.fetch(_REGISTRATIONS, wanted):
            facts[r["customer_id"]].append(_registration(r))
        for r in await tx.fetch(f"{_PURCHASE} customer_id = ANY($1)", wanted):
            facts[r["customer_id"]].append(_purchase(r))
        for r in await tx.fetch(f"{_COMPLAINT} customer_id = ANY($1)", wanted):
            facts[r["customer_id"]].append(_complaint(r))
    return facts


async def save_facts(tx: Tx, facts: Mapping[FactKey, Fact]) -> None:
    """Store facts; one that is there already is replaced by a higher version only."""
    registrations: list[Registration] = []
    purchases: list[Purchase] = []
    complaints: list[Complaint] = []
    by_kind: dict[type[Fact], list[Any]] = {
        Registration: registrations, Purchase: purchases, Complaint: complaints
    }  # fmt: skip
    for (kind, _), fact in facts.items():
        by_kind[kind].append(fact)
    if registrations:
        await tx.execute(
            _SAVE_REGISTRATIONS, [f.id for f in registrations], [f.version for f in registrations],
            [f.event_id for f in registrations], [instant(f.registered_at) for f in registrations],
        )  # fmt: skip
    if purchases:
        await tx.execute(
            _SAVE_PURCHASES, *_identity(purchases),
            [instant(f.ordered_at) for f in purchases], [f.amount_minor for f in purchases],
            [f.list_amount_minor for f in purchases], [f.counts for f in purchases],
        )  # fmt: skip
    if complaints:
        await tx.execute(
            _SAVE_COMPLAINTS, *_identity(complaints), [f.severity for f in complaints],
            [f.counts for f in complaints], [json.dumps(f.spells) for f in complaints],
        )  # fmt: skip


def instant(micros: int) -> datetime:
    """The instant so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def _identity(facts: list[F]) -> tuple[list[UUID], list[UUID], list[int], list[UUID]]:
    return (
        [f.id for f in facts], [f.customer_id for f in facts], [f.version for f in facts],
        [f.event_id for f in facts],
    )  # fmt: skip


def _registration(r: Any) -> Registration:
    return Registration(
        r["customer_id"], r["customer_id"], r["version"], r["event_id"], micros(r["registered_at"])
    )


def _purchase(r: Any) -> Purchase:
    order_id, customer_id, version, event_id, ordered_at, amount, list_amount, counts = r
    return Purchase(order_id, customer_id, version, event_id, micros(ordered_at), amount, list_amount, counts)


def _complaint(r: Any) -> Complaint:
    ticket_id, customer_id, version, event_id, severity, counts, spells = r
    return Complaint(ticket_id, customer_id, version, event_id, severity, counts, _spells.decode(spells))
