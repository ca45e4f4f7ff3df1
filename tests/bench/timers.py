"""What a million timers cost while they lie ahead, and what happens when a hundred thousand ring at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np
from aiokafka import AIOKafkaProducer
from rich.table import Table

from scoring.bands.domain import BEGINS
from scoring.bands.handlers import keep_bands
from scoring.bands.looks import next_looks
from scoring.care.domain import PUBLISHED
from scoring.facts.domain import decode
from scoring.facts.handlers import handlers_in
from scoring.facts.reading import micros
from scoring.serving.figures import customers_of, figures, standings
from scoring.settings import ScoringSettings
from shared.bus.consumer import Consumer
from shared.bus.outbox import headers
from shared.bus.relay import Relay, partition_of
from shared.clock import Clock
from shared.db import Database, new_id
from shared.events import event as events
from shared.events.orders import OrderLine, OrderPlaced, OrderState
from tests.bench.load import Measured
from tests.bench.world import World

IDLE_SECONDS = 20
MASS = 100_000


async def run(world: World, ids: list[UUID]) -> Table:
    """The worker's job, its consumer and its relay in this process, so that they can be timed."""
    url, bootstrap = world.backing.database_urls["scoring"], world.backing.bootstrap
    settings = ScoringSettings.model_construct(churn_horizon_days=90, margin=0.3)
    table = Table("", "", title=f"(e) {len(ids):,} timers")
    connection = await asyncpg.connect(url)
    db = await Database.open(url)
    job = asyncio.create_task(keep_bands(db, Clock(), settings))
    ours, theirs = await _idle(world)
    table.add_row("all ahead: this job, of one core", f"{100 * ours:.1f} %")
    table.add_row("all ahead: PostgreSQL, of one core", f"{100 * theirs:.1f} %")
    table.add_row("looks a second at figures that time changes", f"{await _looks(connection):.0f}")
    relay = asyncio.create_task(Relay(db, bootstrap).run())
    consumer = asyncio.create_task(Consumer(db, bootstrap, "scoring", handlers_in("USD")).run())
    async with _producing(bootstrap) as producer:
        before = await _follow(producer, connection, seconds=10)
        began = time.perf_counter()
        rung_at = await _ring(connection, ids[:MASS])
        drained = asyncio.create_task(_drained(url, rung_at))
        during = await _follow(producer, connection, until=drained)
        took = time.perf_counter() - began
    table.add_row(
        f"{MASS:,} due at once, no band foreseen: all told after", f"{took:.0f} s, {MASS / took:,.0f}/s"
    )
    for what, counted, scored in (("before", *before), ("meanwhile", *during)):
        table.add_row(f"{what}: an event is counted after, p50 and max", _span(counted))
        table.add_row(f"{what}: its customer is scored after, p50 and max", _span(scored))
    for task in (job, relay, consumer):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await db.close()
    await connection.close()
    return table


async def _idle(world: World) -> tuple[float, float]:
    """The share of a core that this process and PostgreSQL use while nothing is due."""
    assert world.backing.postgres is not None
    await asyncio.sleep(2)
    ours, theirs, began = time.process_time(), _cpu(world.backing.postgres.pid), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    took = time.perf_counter() - began
    return (time.process_time() - ours) / took, (_cpu(world.backing.postgres.pid) - theirs) / took


def _cpu(parent: int) -> float:
    """Seconds of processor time used so far by a process and its children."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
            if parent in (pid, int(rest[1])):
                ticks += int(rest[11]) + int(rest[12])
    return ticks / 100


async def _looks(connection: asyncpg.Connection) -> float:
    """How many customers a second are looked at because time changes their figures noticeably."""
    found = await connection.fetch("SELECT state FROM customer_state TABLESAMPLE SYSTEM (1)")
    states, now = [decode(r[0]) for r in found], micros(datetime.now(UTC))
    people = customers_of(states, now)
    risk, loyal = figures(people, PUBLISHED, 90 / 7), standings(states, people, PUBLISHED)
    goals = np.array([min((b for b in BEGINS if b > churn), default=np.inf) for churn in risk.churn.tolist()])
    weeks = next_looks(people, risk, loyal, goals, PUBLISHED, 90 / 7).weeks
    customers = await connection.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'customer_state'")
    return float((1 / (weeks * 7 * 86_400)).mean() * customers)


async def _ring(connection: asyncpg.Connection, mass: list[UUID]) -> datetime:
    """As if all of them had reached a band just now: the one told last is another than theirs."""
    async with connection.transaction():
        await connection.execute(
            "UPDATE customer_score SET band = CASE band WHEN 'low' THEN 'critical' ELSE 'low' END"
            " WHERE customer_id = ANY($1)",
            mass,
        )
        await connection.execute(
            "UPDATE customer_state SET due_at = clock_timestamp() WHERE customer_id = ANY($1)", mass
        )
        rung_at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return rung_at


async def _drained(url: str, rung_at: datetime) -> None:
    connection = await asyncpg.connect(url)
    due = "SELECT EXISTS (SELECT FROM customer_state WHERE due_at <= $1)"
    while await connection.fetchval(due, rung_at):  # noqa: ASYNC110  (only the database knows)
        await asyncio.sleep(0.2)
    await connection.close()


@asynccontextmanager
async def _producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _follow(
    producer: AIOKafkaProducer,
    connection: asyncpg.Connection,
    *,
    seconds: float = 600,
    until: "asyncio.Task[None] | None" = None,
) -> tuple[Measured, Measured]:
    """Orders of new customers one after another: until each is counted, and until the customer is scored."""
    counted, scored = Measured(), Measured()
    partitions = len(await producer.partitions_for("patron.orders"))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not (until and until.done()):
        placed = _placed()
        found = headers(new_id(), placed.wire_name, placed.key, 1, datetime.now(UTC), None, None, None)
        began = time.perf_counter()
        await producer.send_and_wait(
            placed.topic,
            events.encode(placed),
            key=placed.key.encode(),
            partition=partition_of(placed.key, partitions),
            headers=[(name, value.encode()) for name, value in found.items()],
        )
        for measured, table in ((counted, "customer_state"), (scored, "customer_score")):
            there = f"SELECT EXISTS (SELECT FROM {table} WHERE customer_id = $1)"
            while not await connection.fetchval(there, placed.customer_id):  # noqa: ASYNC110  (as above)
                await asyncio.sleep(0.01)
            measured.latencies.append(time.perf_counter() - began)
    return counted, scored


def _placed() -> OrderPlaced:
    order = OrderState(
        id=new_id(), version=1, number="O-1", status="placed", channel="web",
        ordered_at=datetime.now(UTC) - timedelta(days=1), currency="USD", total_minor=2933,
        list_total_minor=3000,
        lines=(OrderLine(product_id=new_id(), quantity=2, list_amount_minor=3000, amount_minor=2933),),
    )  # fmt: skip
    return OrderPlaced(customer_id=new_id(), order=order)


def _span(measured: Measured) -> str:
    return f"{measured.percentile(50) / 1000:.2f} s, {max(measured.latencies):.2f} s"
