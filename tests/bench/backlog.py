"""(b) A scoring worker that finds a backlog on Kafka, against a bare loop of the same writes."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import product
from statistics import harmonic_mean
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer
from rich.table import Table

import stack
from scoring.facts import store
from scoring.facts.domain import EMPTY, Purchase, State, encode
from scoring.facts.reading import micros
from shared.bus import consumer, inbox
from shared.bus.outbox import headers
from shared.bus.relay import partition_of
from shared.db import array, new_id
from shared.events import event as events
from shared.events.orders import OrderLine, OrderPlaced, OrderState
from tests.bench import crossings
from tests.bench.world import World

CUSTOMERS, ORDERS_EACH, BATCH = 20_000, 10, consumer.BATCH
EVENTS = CUSTOMERS * ORDERS_EACH
START = datetime(2025, 1, 1, tzinfo=UTC)
KNOWN = (10_000, 100_000, 1_000_000)
RETURNING, MORE_EACH = 10_000, 12

# Of customers who were there before: one order each, counted; nobody is due.
_KNOWN = """
WITH customer AS MATERIALIZED (
    SELECT md5(n::text)::uuid AS id FROM generate_series($1::int, $2::int - 1) AS s (n)
), state AS (
    INSERT INTO customer_state (customer_id, state) SELECT id, $3 FROM customer
), progress AS (
    INSERT INTO stream_progress (topic, key, last_seq) SELECT 'patron.orders', id::text, 1 FROM customer
)
INSERT INTO purchase_fact (order_id, customer_id, version, event_id, ordered_at, amount_minor,
                           list_amount_minor, counts, seq, at)
SELECT gen_random_uuid(), id, 1, gen_random_uuid(), $4, 2933, 3000, true, 1, $4 FROM customer
"""


async def run(world: World) -> Table:
    """Fill the topic, then start one worker and watch its offsets; again with ever more customers known."""
    url = world.backing.database_urls["scoring"]
    await _publish(world.backing.bootstrap, [new_id() for _ in range(CUSTOMERS)], ORDERS_EACH)
    async with _scoring(world, workers=0):
        bare = [await _bare(url)]
    async with _scoring(world) as fleet:
        ours = await _watch(url, EVENTS)
        again = await _rebuild(fleet.urls["scoring"], world.token)
        await fleet.processes["scoring.worker"].stop()
        bare.append(await _bare(url))
    # Before and after, as the machine may be another from one minute to the next.
    bare_rate = harmonic_mean(bare)
    table = Table(
        "", "events/s", title=f"(b) {EVENTS:,} orders of {CUSTOMERS:,} customers from a Kafka backlog"
    )
    table.add_row(f"bare loop of the same writes ({BATCH:,} a transaction)", f"{bare_rate:,.0f}")
    table.add_row("scoring worker, one process (aim: 20,000)", f"{ours:,.0f}")
    table.add_row("ratio (aim: 0.5)", f"{ours / bare_rate:.2f}")
    table.add_row("rebuild from the log, compared and mended (aim: 17,000)", f"{again:,.0f}")
    published, known = EVENTS, 0
    for customers in KNOWN:
        await _know(url, known, customers)
        step = (customers - known) // RETURNING or 1
        returning = [_id(n) for n in range(known, customers, step)][:RETURNING]
        await _publish(world.backing.bootstrap, returning, MORE_EACH, after=1)
        published += len(returning) * MORE_EACH
        async with _scoring(world):
            rate = await _watch(url, published)
        table.add_row(f"the same with {customers:,} more customers known (aim: within 20%)", f"{rate:,.0f}")
        known = customers
    return table


def _scoring(world: World, workers: int = 1) -> AbstractAsyncContextManager[stack.Fleet]:
    scoring = next(s for s in stack.SERVICES if s.name == "scoring")
    return stack.services(world.directory, world.backing, which=[scoring], workers=workers)


def _id(n: int) -> UUID:
    return UUID(hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest())


async def _know(url: str, since: int, until: int) -> None:
    state = encode(
        State(purchases=1, days=1, spent_minor=2933, first_at=micros(START), last_at=micros(START))
    )
    connection = await asyncpg.connect(url)
    try:
        await crossings.fit_none(connection)
        await connection.execute(_KNOWN, since, until, state, START)
        await connection.execute("VACUUM ANALYZE customer_state, stream_progress, purchase_fact")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _publish(bootstrap: str, customers: Sequence[UUID], each: int, *, after: int = 0) -> None:
    """So many orders of each customer, whose first `after` are there already."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=262_144, compression_type="lz4")
    await producer.start()
    partitions = len(await producer.partitions_for("patron.orders"))
    batches = {p: producer.create_batch() for p in range(partitions)}
    for turn, customer in product(range(after, after + each), customers):
        placed = _placed(customer, turn)
        found = headers(
            new_id(), placed.wire_name, placed.key, turn + 1, placed.order.ordered_at, None, None, None
        )
        encoded = [(name, value.encode()) for name, value in found.items()]
        partition = partition_of(placed.key, partitions)
        record = {
            "key": placed.key.encode(),
            "value": events.encode(placed),
            "timestamp": None,
            "headers": encoded,
        }
        if not batches[partition].append(**record):
            await producer.send_batch(batches[partition], placed.topic, partition=partition)
            batches[partition] = producer.create_batch()
            batches[partition].append(**record)
    for partition, batch in batches.items():
        await (await producer.send_batch(batch, OrderPlaced.topic, partition=partition))
    await producer.stop()


def _placed(customer: UUID, turn: int) -> OrderPlaced:
    order = OrderState(
        id=new_id(), version=1, number="O-1", status="placed", channel="web",
        ordered_at=START + timedelta(days=turn * 9), currency="USD",
        total_minor=2933, list_total_minor=3000,
        lines=(OrderLine(product_id=customer, quantity=2, list_amount_minor=3000, amount_minor=2933),),
    )  # fmt: skip
    return OrderPlaced(customer_id=customer, order=order)


async def _watch(url: str, until: int) -> float:
    """Events a second between the first and the last that were counted."""
    connection = await asyncpg.connect(url)
    first: tuple[float, int] | None = None
    try:
        at_first = await _counted(connection)
        while True:
            done, now = await _counted(connection), time.perf_counter()
            if done > at_first and first is None:
                first = now, done
            if done >= until and first is not None:
                return (done - first[1]) / (now - first[0])
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def _counted(connection: asyncpg.Connection) -> int:
    return int(
        await connection.fetchval(
            "SELECT coalesce(sum(next_offset), 0) FROM consumer_offset WHERE topic = 'patron.orders'"
        )
    )


async def _rebuild(url: str, token: str) -> float:
    """Events a second that a rebuild counts again, from the asking to the end."""
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        asked = (await http.post("/v1/rebuilds")).raise_for_status()
        started = time.perf_counter()
        while (run := (await http.get(asked.headers["Location"])).json())["phase"] != "done":
            if run["phase"] == "failed":
                raise RuntimeError(run["problem"])
            await asyncio.sleep(0.2)
        return int(run["events_total"]) / (time.perf_counter() - started)


async def _bare(url: str) -> float:
    """The same statements with parameters made beforehand: what PostgreSQL alone allows."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET synchronous_commit = off")
    state = encode(EMPTY)
    lots = [sorted(new_id() for _ in range(BATCH)) for _ in range(CUSTOMERS // BATCH)]
    batches = [
        await _parameters(lots[n % len(lots)], n // len(lots), state) for n in range(EVENTS // 4 // BATCH)
    ]
    await crossings.fit_none(connection)  # so that the worker fits none beside, as it does once a day
    started = time.perf_counter()
    for turn, (customers, keys, orders, states, due, seqs) in enumerate(batches):
        async with connection.transaction():
            await connection.execute(consumer._BY_INDEX)
            if turn < len(lots):
                await connection.execute(store._ADD, customers, state)
            await connection.fetch(store._LOCK, customers)
            await connection.copy_to_table(
                "purchase_fact", source=_again(orders), columns=store._COLUMNS[Purchase], format="binary"
            )
            await connection.execute(store._SAVE_STATES, customers, states, due)
            if turn < len(lots):
                await connection.fetch(inbox._BEGIN, "patron.orders", keys, seqs)
            else:
                await connection.fetch(inbox._MOVE_ON, "patron.orders", keys, seqs, seqs)
    took = time.perf_counter() - started
    await connection.execute("TRUNCATE customer_state, stream_progress, purchase_fact")
    await connection.execute("CHECKPOINT")
    await connection.close()
    return len(batches) * BATCH / took


async def _parameters(
    customers: Sequence[UUID], turn: int, state: bytes
) -> tuple[str, str, list[bytes], str, str, str]:
    at = micros(START) + turn
    orders = [Purchase(new_id(), who, 1, new_id(), at, 2933, 3000, True, turn + 1, at) for who in customers]
    return (
        array(customers),
        array([str(who) for who in customers]),
        [part async for part in store._binary(orders)],
        array([state] * BATCH),
        array([START] * BATCH),
        array([turn + 1] * BATCH),
    )


async def _again(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
