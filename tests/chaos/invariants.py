"""What must hold when all is repaired and quiet. Every check answers what it found wrong; nothing is good."""

import asyncio
import importlib
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from scoring.facts.domain import decode
from shared.bus.inbox import Inbox
from shared.db import Tx
from stack.process import Failed, run_once
from tests.chaos.writers import Record, View

SHOWN = 5

T = TypeVar("T")

_DUE = "SELECT EXISTS (SELECT FROM customer_state WHERE due_at <= now() OR restated_from IS NOT NULL)"


class Entry(NamedTuple):
    """An event's place in its stream, as the outbox or a record of the log has it."""

    topic: str
    key: str
    seq: int
    event_id: UUID


@asynccontextmanager
async def connected(urls: Mapping[str, str]) -> AsyncIterator[dict[str, Tx]]:
    """A connection to each of the databases."""
    found: dict[str, Tx] = {}
    try:
        for name, url in urls.items():
            found[name] = await asyncpg.connect(url)
        yield found
    finally:
        for connection in found.values():
            await connection.close()


@asynccontextmanager
async def reading(bootstrap: str, topics: Iterable[str]) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of all partitions of these topics, from their beginning."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read_log(bootstrap: str, topics: Iterable[str]) -> list[Entry]:
    """Every record of the topics, in order within a partition."""
    async with reading(bootstrap, topics) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        found: list[Entry] = []
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    headers = dict(record.headers)
                    seq, event_id = int(headers["ce_sequence"]), UUID(headers["ce_id"].decode())
                    found.append(Entry(partition.topic, record.key.decode(), seq, event_id))
        return found


async def read_outbox(connection: Tx) -> list[Entry]:
    """Everything that a service published."""
    return [Entry(*r) for r in await connection.fetch("SELECT topic, key, seq, event_id FROM outbox")]


def in_order(log: Iterable[Entry], outbox: Iterable[Entry]) -> list[str]:
    """The log has every published event and no other; first occurrences are in order, without a gap."""
    first: dict[tuple[str, str], dict[int, UUID]] = defaultdict(dict)
    wrong = []
    for entry in log:
        stream = first[entry.topic, entry.key]
        if stream.setdefault(entry.seq, entry.event_id) != entry.event_id:
            wrong.append(f"two events have the place {entry}")
    for (topic, key), stream in first.items():
        if list(stream) != list(range(1, len(stream) + 1)):
            wrong.append(f"{topic} {key} came as {list(stream)}")
    there = {Entry(t, k, seq, id_) for (t, k), stream in first.items() for seq, id_ in stream.items()}
    return wrong + differences("the log and the outbox", there, outbox)


def repeated(log: Iterable[Entry]) -> int:
    """How many records repeat another: allowed after a fault, and none without one."""
    return sum(times - 1 for times in Counter(log).values())


def differences(what: str, one: Iterable[T], other: Iterable[T]) -> list[str]:
    """What only one of the two has, or has more often."""
    left, right = Counter(iter(one)), Counter(iter(other))
    return [
        f"{what}: only in the {side}: {thing}"
        for side, more in (("first", left - right), ("second", right - left))
        for thing in list(more.elements())[:SHOWN]
    ]


async def gapless(connection: Tx) -> list[str]:
    """Per key the outbox has the sequence 1, 2, 3 … up to the number given out last."""
    rows = await connection.fetch(
        "SELECT topic, key, s.seq AS last, array_agg(o.seq ORDER BY o.seq) AS seqs"
        " FROM stream_seq s LEFT JOIN outbox o USING (topic, key) GROUP BY topic, key, s.seq"
    )
    return [
        f"{r['topic']} {r['key']} has {r['seqs']}, last given out is {r['last']}"
        for r in rows
        if r["seqs"] != list(range(1, r["last"] + 1))
    ]


async def unfinished(connection: Tx) -> list[str]:
    """What waits: unsent in the outbox, held for a predecessor, parked for a person."""
    found = []
    for what, condition in (
        ("unsent", "outbox_unsent"),
        ("held", "held_event"),
        ("parked", "parked_event WHERE state IN ('parked', 'queued')"),
    ):
        number = await connection.fetchval(f"SELECT count(*) FROM {condition}")
        if number:
            found.append(f"{number} {what}")
    return found


async def lag(connection: Tx, group: str, topics: Sequence[str], bootstrap: str) -> list[str]:
    """Partitions of which the group has not taken in everything."""
    if not topics:
        return []
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset FROM consumer_offset WHERE group_id = $1", group
    )
    taken = {TopicPartition(r["topic"], r["partition"]): r["next_offset"] for r in rows}
    async with reading(bootstrap, topics) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
    return [
        f"{group} is at {taken.get(p, 0)} of {end} in {p.topic}/{p.partition}"
        for p, end in ends.items()
        if taken.get(p, 0) != end
    ]


def topics_of(package: str) -> list[str]:
    """What a service listens to."""
    service = importlib.import_module(f"{package}.app").SERVICE
    return Inbox(service.handlers(service.settings.model_construct())).topics


async def orders_as_acknowledged(orders: Tx, record: Record) -> list[str]:
    """Each acknowledged order is one row, as it was answered last; there is no other; so with its events."""
    rows = await orders.fetch("SELECT id, customer_id, version, status, total_minor FROM sales_order")
    return [
        *differences("orders' rows and the acknowledged", map(tuple, rows), map(_order, _all(record.orders))),
        *differences("orders' events and the acknowledged moves", await _told(orders, "order"),
                     _moves(record.orders)),
        *differences("products' events", await _told(orders, "product"), _moves(record.products)),
    ]  # fmt: skip


async def tickets_as_acknowledged(desk: Tx, record: Record) -> list[str]:
    """The same of tickets."""
    rows = await desk.fetch("SELECT id, customer_id, version, status, severity, kind FROM ticket")
    return [
        *differences("tickets' rows and the acknowledged", map(tuple, rows),
                     map(_ticket, _all(record.tickets))),
        *differences("tickets' events and the acknowledged moves", await _told(desk, "ticket"),
                     _moves(record.tickets)),
    ]  # fmt: skip


async def customers_as_acknowledged(connections: Mapping[str, Tx], record: Record) -> list[str]:
    """The same of customers; and those who keep a copy have every one."""
    wrong = differences(
        "customers' events", await _told(connections["customer"], "customer"), _moves(record.customers)
    )
    for package in ("customer", "orders", "service_desk"):
        ids = [r["id"] for r in await connections[package].fetch("SELECT id FROM customer")]
        wrong += differences(f"{package}'s customers and the acknowledged", ids, record.customers)
    return wrong


async def keys_as_acknowledged(connection: Tx, acknowledged: int) -> list[str]:
    """As many answers are stored under a key as were acknowledged: no repetition did anything."""
    stored = await connection.fetchval("SELECT count(*) FROM idempotency_key")
    return [] if stored == acknowledged else [f"{stored} answers stored, {acknowledged} acknowledged"]


async def facts_equal_sources(connections: Mapping[str, Tx]) -> list[str]:
    """Scoring has one fact for each row of the sources, of its latest version."""
    scoring = connections["scoring"]
    pairs = (
        ("purchases and orders", "orders",
         "SELECT order_id, customer_id, version, amount_minor, counts FROM purchase_fact"
         " WHERE known_until IS NULL",
         "SELECT id, customer_id, version, total_minor, status <> 'cancelled' FROM sales_order"),
        ("complaints and tickets", "service_desk",
         "SELECT ticket_id, customer_id, version, counts FROM complaint_fact WHERE known_until IS NULL",
         "SELECT id, customer_id, version, kind = 'complaint' FROM ticket"),
        ("customers", "customer", "SELECT customer_id FROM customer_fact WHERE known_until IS NULL",
         "SELECT id FROM customer"),
    )  # fmt: skip
    wrong = []
    for what, source, facts, rows in pairs:
        of_facts = map(tuple, await scoring.fetch(facts))
        wrong += differences(what, of_facts, map(tuple, await connections[source].fetch(rows)))
    return wrong


async def sums_equal_sources(connections: Mapping[str, Tx]) -> list[str]:
    """Per customer scoring has counted what SQL adds up over the sources."""
    orders = await connections["orders"].fetch(
        "SELECT customer_id, count(*) AS number, sum(total_minor)::bigint AS total FROM sales_order"
        " WHERE status <> 'cancelled' GROUP BY customer_id"
    )
    tickets = await connections["service_desk"].fetch(
        "SELECT customer_id, count(*) AS number FROM ticket WHERE kind = 'complaint' GROUP BY customer_id"
    )
    customers = await connections["customer"].fetch("SELECT id FROM customer")
    bought = {r["customer_id"]: (r["number"], r["total"]) for r in orders}
    complained = {r["customer_id"]: r["number"] for r in tickets}
    expected = {(r["id"], *bought.get(r["id"], (0, 0)), complained.get(r["id"], 0)) for r in customers}
    counted = set()
    for r in await connections["scoring"].fetch("SELECT customer_id, state FROM customer_state"):
        state = decode(r["state"])
        counted.add((r["customer_id"], state.purchases, state.spent_minor, state.complaints))
    return differences("scoring's sums and the sources'", counted, expected)


async def rebuilt(scoring_url: str) -> list[str]:
    """Every state is, byte for byte, what its facts add up to."""
    command = [sys.executable, "-m", "scoring.verify"]
    try:
        await run_once(command, environment={**os.environ, "DATABASE_URL": scoring_url})
    except Failed as failure:
        return [failure.output[-2000:]]
    return []


async def _told(connection: Tx, kind: str) -> list[tuple[Any, ...]]:
    """Which version of what each published event tells of."""
    rows = await connection.fetch(
        "SELECT e -> $1 ->> 'id', e -> $1 ->> 'version'"
        " FROM (SELECT convert_from(payload, 'utf8')::jsonb AS e FROM outbox) o WHERE e ? $1",
        kind,
    )
    return [(UUID(id_), int(version)) for id_, version in rows]


def _moves(things: Mapping[UUID, View]) -> list[tuple[UUID, int]]:
    return [(id_, version) for id_, view in things.items() for version in range(1, view["version"] + 1)]


def _all(things: Mapping[UUID, View]) -> Iterable[View]:
    return things.values()


def _order(view: View) -> tuple[Any, ...]:
    return (UUID(view["id"]), UUID(view["customer_id"]), view["version"], view["status"], view["total_minor"])


def _ticket(view: View) -> tuple[Any, ...]:
    ids = (UUID(view["id"]), UUID(view["customer_id"]))
    return (*ids, view["version"], view["status"], view["severity"], view["kind"])


async def everything(
    urls: Mapping[str, str], bootstrap: str, topics: Iterable[str], record: Record
) -> tuple[dict[str, list[str]], list[Entry]]:
    """All of it, on the whole system: what is wrong, by check, and the log."""
    log, rebuild = await asyncio.gather(read_log(bootstrap, topics), rebuilt(urls["scoring"]))
    async with connected(urls) as connections:
        outbox = [entry for connection in connections.values() for entry in await read_outbox(connection)]
        found = {
            "no request refused": record.refused,
            "orders as acknowledged": await orders_as_acknowledged(connections["orders"], record),
            "tickets as acknowledged": await tickets_as_acknowledged(connections["service_desk"], record),
            "customers as acknowledged": await customers_as_acknowledged(connections, record),
            "facts equal sources": await facts_equal_sources(connections),
            "sums equal sources": await sums_equal_sources(connections),
            "order kept in the log": in_order(log, outbox),
            "a rebuild equals the state": rebuild,
        }
        for package, connection in connections.items():
            acknowledged = record.acknowledged_by(package.replace("_", "-"))
            found[f"{package}: nothing done twice"] = await keys_as_acknowledged(connection, acknowledged)
            found[f"{package}: sequences gapless"] = await gapless(connection)
            found[f"{package}: nothing left"] = await unfinished(connection)
            found[f"{package}: everything read"] = await lag(
                connection, package, topics_of(package), bootstrap
            )
    return {check: wrong for check, wrong in found.items() if wrong}, log


async def quiet(urls: Mapping[str, str], bootstrap: str) -> bool:
    """Whether nothing waits anywhere, everybody has read everything, and everybody due was scored."""
    async with connected(urls) as connections:
        # In the order of the path: what is read makes somebody due, and who is due makes an event.
        for package, connection in connections.items():
            if await lag(connection, package, topics_of(package), bootstrap):
                return False
        if await connections["scoring"].fetchval(_DUE):
            return False
        for connection in connections.values():
            if await unfinished(connection):
                return False
    return True
