"""SQL of facts and states. A customer's facts change only under the lock of their state."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from struct import Struct
from typing import Any
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
from scoring.facts.past import Version
from scoring.facts.reading import YEAR_2000, instant, micros
from shared.db import Tx, array

_EMPTY = encode(EMPTY)
_spells = msgspec.json.Decoder(tuple[Spell, ...])

_LOCK = """
SELECT s.customer_id, s.state
FROM unnest($1::text::uuid[]) AS n (id) JOIN customer_state s ON s.customer_id = n.id
ORDER BY s.customer_id FOR UPDATE OF s
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
INSERT INTO customer_state (customer_id, state) SELECT id, $2 FROM unnest($1::text::uuid[]) AS n (id)
ORDER BY id
ON CONFLICT (customer_id) DO NOTHING
"""

_SELECT: Mapping[type[Fact], str] = {
    Registration: """
        SELECT customer_id, version, event_id, registered_at, seq, at, known_from, known_until
        FROM customer_fact WHERE customer_id = ANY($1::text::uuid[])""",
    Purchase: """
        SELECT order_id, customer_id, version, event_id, ordered_at, amount_minor, list_amount_minor, counts,
               seq, at, known_from, known_until
        FROM purchase_fact WHERE customer_id = ANY($1::text::uuid[])""",
    Complaint: """
        SELECT ticket_id, customer_id, version, event_id, severity, counts, spells,
               seq, at, known_from, known_until
        FROM complaint_fact WHERE customer_id = ANY($1::text::uuid[])""",
}
_KEYS: Mapping[type[Fact], tuple[str, str]] = {
    Registration: ("customer_fact", "customer_id"),
    Purchase: ("purchase_fact", "order_id"),
    Complaint: ("complaint_fact", "ticket_id"),
}
_COLUMNS: Mapping[type[Fact], tuple[str, ...]] = {
    Registration: ("customer_id", "version", "event_id", "registered_at", "seq", "at"),
    Purchase: (
        "order_id", "customer_id", "version", "event_id", "ordered_at", "amount_minor", "list_amount_minor",
        "counts", "seq", "at",
    ),
    Complaint: (
        "ticket_id", "customer_id", "version", "event_id", "severity", "counts", "spells", "seq", "at",
    ),
}  # fmt: skip
_NOW_KNOWN = "AND known_until IS NULL"
# Due since the fact; a publisher whose clock is ahead must not delay it.
_SAVE_STATES = """
UPDATE customer_state s SET state = decode(n.state, 'base64'), due_at = least(s.due_at, n.due_at, now())
FROM unnest($1::text::uuid[], $2::text::text[], $3::text::timestamptz[]) AS n (customer_id, state, due_at)
WHERE s.customer_id = n.customer_id
"""


_RESTATE = """
UPDATE customer_state s SET restated_from = coalesce(s.restated_from, decode(n.state, 'base64'))
FROM unnest($1::text::uuid[], $2::text::text[]) AS n (customer_id, state) WHERE s.customer_id = n.customer_id
"""


async def lock_states(tx: Tx, customer_ids: Iterable[UUID]) -> dict[UUID, State]:
    """The states of these customers, who are known from now on; locked in one order, against deadlocks."""
    wanted = list(customer_ids)
    states = {r[0]: decode(r[1]) for r in await tx.fetch(_LOCK, array(wanted))}
    missing = [customer_id for customer_id in wanted if customer_id not in states]
    if missing:
        await tx.execute(_ADD, array(missing), _EMPTY)
        states |= {r[0]: decode(r[1]) for r in await tx.fetch(_LOCK, array(missing))}
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
            array(list(states)),
            array([encode(state) for state in states.values()]),
            array([due[customer_id] for customer_id in states]),
        )


async def restate(tx: Tx, before: Mapping[UUID, State]) -> None:
    """Remember what these customers' states were: something about their past has become known."""
    if before:
        await tx.execute(_RESTATE, array(list(before)), array([encode(state) for state in before.values()]))


async def find_facts(tx: Tx, facts: Iterable[Fact]) -> dict[FactKey, Fact]:
    """What is known so far of the things that these facts are about."""
    ids: dict[type[Fact], list[UUID]] = defaultdict(list)
    for fact in facts:
        ids[type(fact)].append(fact.id)
    found: list[Fact] = []
    for kind, some in ids.items():
        by_id = _SELECT[kind].replace("WHERE customer_id", f"WHERE {_KEYS[kind][1]}")
        found += map(_FROM_ROW[kind], await tx.fetch(f"{by_id} {_NOW_KNOWN}", array(some)))
    return {(type(fact), fact.id): fact for fact in found}


async def list_facts(tx: Tx, customer_ids: Iterable[UUID]) -> dict[UUID, list[Fact]]:
    """All that is known now about these customers."""
    wanted = array(list(customer_ids))
    facts: dict[UUID, list[Fact]] = defaultdict(list)
    for kind, statement in _SELECT.items() if wanted != "{}" else ():
        for r in await tx.fetch(f"{statement} {_NOW_KNOWN}", wanted):
            facts[r["customer_id"]].append(_FROM_ROW[kind](r))
    return facts


async def list_versions(tx: Tx, customer_id: UUID) -> list[Version]:
    """All that was ever known about a customer."""
    return [
        Version(_FROM_ROW[kind](r), r["known_from"], r["known_until"])
        for kind, statement in _SELECT.items()
        for r in await tx.fetch(statement, array([customer_id]))
    ]


async def save_facts(tx: Tx, facts: Iterable[Fact], superseding: Iterable[Fact]) -> None:
    """Store new versions of facts, which are known from now on; what they supersede was known until now."""
    purchases: list[Purchase] = []
    rows: dict[type[Fact], list[tuple[object, ...]]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, Purchase):
            purchases.append(fact)
        else:
            rows[type(fact)].append(_TO_ROW[type(fact)](fact))
    for kind, records in rows.items():
        await tx.copy_records_to_table(_KEYS[kind][0], records=records, columns=_COLUMNS[kind])
    if purchases:
        await tx.copy_to_table(
            "purchase_fact", source=_binary(purchases), columns=_COLUMNS[Purchase], format="binary"
        )
    later: dict[type[Fact], list[Fact]] = defaultdict(list)
    for fact in superseding:
        later[type(fact)].append(fact)
    for kind, some in later.items():
        table, key = _KEYS[kind]
        await tx.execute(
            f"UPDATE {table} f SET known_until = now() FROM unnest($1::uuid[], $2::int[]) AS n (id, version)"
            f" WHERE f.{key} = n.id AND f.version < n.version AND f.known_until IS NULL",
            [fact.id for fact in some], [fact.version for fact in some],
        )  # fmt: skip


def _registration(r: Any) -> Registration:
    customer_id, version, event_id, registered_at, seq, at, *_ = r
    return Registration(customer_id, customer_id, version, event_id, micros(registered_at), seq, micros(at))


def _purchase(r: Any) -> Purchase:
    order_id, customer_id, version, event_id, ordered_at, amount, list_amount, counts, seq, at, *_ = r
    return Purchase(
        order_id, customer_id, version, event_id, micros(ordered_at), amount, list_amount, counts, seq,
        micros(at),
    )  # fmt: skip


def _complaint(r: Any) -> Complaint:
    ticket_id, customer_id, version, event_id, severity, counts, spells, seq, at, *_ = r
    return Complaint(
        ticket_id, customer_id, version, event_id, severity, counts, _spells.decode(spells), seq, micros(at)
    )


_FROM_ROW: Mapping[type[Fact], Callable[[Any], Fact]] = {
    Registration: _registration, Purchase: _purchase, Complaint: _complaint
}  # fmt: skip
_TO_ROW: Mapping[type[Fact], Callable[[Any], tuple[object, ...]]] = {
    Registration: lambda f: (f.id, f.version, f.event_id, instant(f.registered_at), f.seq, instant(f.at)),
    Complaint: lambda f: (
        f.id, f.customer_id, f.version, f.event_id, f.severity, f.counts, json.dumps(f.spells), f.seq,
        instant(f.at),
    ),
}  # fmt: skip


_PURCHASE_ROW = Struct("!h i16s i16s ii i16s iq iq iq i? iq iq")


async def _binary(purchases: Iterable[Purchase]) -> AsyncIterator[bytes]:
    """The file that COPY reads, every value after its length: purchases are most of what comes, and asyncpg
    takes four times as long to write their rows."""
    pack = _PURCHASE_ROW.pack
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
    yield b"".join(
        [
            pack(
                10, 16, f.id.bytes, 16, f.customer_id.bytes, 4, f.version, 16, f.event_id.bytes,
                8, f.ordered_at - YEAR_2000, 8, f.amount_minor, 8, f.list_amount_minor, 1, f.counts,
                8, f.seq, 8, f.at - YEAR_2000,
            )
            for f in purchases
        ]
    )  # fmt: skip
    yield b"\xff\xff"
