"""(b) A scoring worker that finds a backlog on Kafka, against a bare loop of the same writes."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer
from rich.table import Table

import stack
from scoring.facts import store
from scoring.facts.domain import EMPTY, Purchase, encode
from shared.bus.outbox import headers
from shared.bus.relay import partition_of
from shared.db import array, new_id
from shared.events import event as events
from shared.events.orders import OrderLine, OrderPlaced, OrderState
from tests.bench.world import World

EVENTS, CUSTOMERS, BATCH = 200_000, 20_000, 1000
START = datetime(2025, 1, 1, tzinfo=UTC)


async def run(world: World) -> Table:
    """Fill the topic, then start one worker and watch its offsets."""
    await _publish(world.backing.bootstrap)
    scoring = next(s for s in stack.SERVICES if s.name == "scoring")
    async with stack.services(world.directory, world.backing, which=[scoring]) as fleet:
        ours = await _watch(world.backing.database_urls["scoring"])
        again = await _rebuild(fleet.urls["scoring"], world.token)
        await fleet.processes["scoring.worker"].stop()
        bare = await _bare(world.backing.database_urls["scoring"])
    table = Table(
        "", "events/s", title=f"(b) {EVENTS:,} orders of {CUSTOMERS:,} customers from a Kafka backlog"
    )
    table.add_row("bare loop of the same writes (1,000 a transaction)", f"{bare:,.0f}")
    table.add_row("scoring worker, one process (aim: 10,000 now, 20,000 later)", f"{ours:,.0f}")
    table.add_row("ratio (aim: 0.5)", f"{ours / bare:.2f}")
    table.add_row("rebuild from the log, compared and swapped in (aim: 17,000)", f"{again:,.0f}")
    return table


async def _publish(bootstrap: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=262_144, compression_type="lz4")
    await producer.start()
    partitions = len(await producer.partitions_for("patron.orders"))
    customers = [new_id() for _ in range(CUSTOMERS)]
    batches = {p: producer.create_batch() for p in range(partitions)}
    for n in range(EVENTS):
        customer, seq = customers[n % CUSTOMERS], n // CUSTOMERS + 1
        placed = _placed(customer, n)
        at = placed.order.ordered_at
        found = headers(new_id(), placed.wire_name, placed.key, seq, at, None, None, None)
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


def _placed(customer: UUID, n: int) -> OrderPlaced:
    order = OrderState(
        id=new_id(), version=1, number=f"O-{n:06}", status="placed", channel="web",
        ordered_at=START + timedelta(days=n // CUSTOMERS * 9, seconds=n % CUSTOMERS), currency="USD",
        total_minor=2933, list_total_minor=3000,
        lines=(OrderLine(product_id=customer, quantity=2, list_amount_minor=3000, amount_minor=2933),),
    )  # fmt: skip
    return OrderPlaced(customer_id=customer, order=order)


async def _watch(url: str) -> float:
    """Events a second between the first and the last that were counted."""
    connection = await asyncpg.connect(url)
    first: tuple[float, int] | None = None
    try:
        while True:
            done = int(
                await connection.fetchval(
                    "SELECT coalesce(sum(next_offset), 0) FROM consumer_offset WHERE topic = 'patron.orders'"
                )
            )
            now = time.perf_counter()
            if done and first is None:
                first = now, done
            if done >= EVENTS and first is not None:
                return (done - first[1]) / (now - first[0])
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def _rebuild(url: str, token: str) -> float:
    """Events a second that a rebuild counts again, from the asking to the swap."""
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        asked = (await http.post("/v1/rebuilds")).raise_for_status()
        started = time.perf_counter()
        while (run := (await http.get(asked.headers["Location"])).json())["phase"] != "done":
            if run["phase"] == "failed":
                raise RuntimeError(run["problem"])
            await asyncio.sleep(0.2)
        return int(run["events_total"]) / (time.perf_counter() - started)


async def _bare(url: str) -> float:
    """The same statements with rows made beforehand: what PostgreSQL alone allows."""
    connection = await asyncpg.connect(url)
    state = encode(EMPTY)
    batches = []
    for _ in range(EVENTS // 4 // BATCH):
        customers = sorted(new_id() for _ in range(BATCH))
        ids = [new_id() for _ in range(BATCH)]
        batches.append((customers, ids))
    started = time.perf_counter()
    for customers, ids in batches:
        async with connection.transaction():
            await connection.execute(store._ADD, array(customers), state)
            await connection.fetch(store._LOCK, array(customers))
            await connection.copy_records_to_table(
                "purchase_fact",
                records=[
                    (i, c, 1, i, START, 2933, 3000, True, 1, START)
                    for i, c in zip(ids, customers, strict=True)
                ],
                columns=store._COLUMNS[Purchase],
            )
            await connection.execute(
                store._SAVE_STATES, array(customers), array([state] * BATCH), array([START] * BATCH)
            )
    took = time.perf_counter() - started
    await connection.close()
    return len(batches) * BATCH / took
