"""(g) A hundred thousand customers whose next churn bands begin at one instant, and nothing else happens."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer
from rich.table import Table

import stack
from scoring.bands.domain import BANDS, BEGINS
from scoring.care.domain import PUBLISHED
from scoring.facts.domain import WEEK, State, encode
from scoring.facts.reading import instant, micros
from scoring.models.arrays import Floats
from scoring.models.crossing import crossing
from scoring.models.loyalty import repeat_rate
from scoring.models.score import Customers, score
from shared.events.scoring import ChurnBandChanged
from tests.bench.load import Measured
from tests.bench.population import population
from tests.bench.world import World

MASS = 100_000
HORIZON = 90 / 7
AHEAD = timedelta(seconds=45)
"""From the start of the worker to the instant at which all bands begin."""
# A model was tried just now and refused.
_TRIED = """
INSERT INTO fitted_model (version, kind, fitted_at, customers, repeat_buyers, complaints, prior_driven,
                          log_likelihood, parameters, standard_errors, rate_quantiles, covariance, calibrator,
                          published, why)
VALUES (1, 'pareto_nbd', now(), 0, 0, 0, true, 0, $1, '{}', '{0, 1}', $2, '{"intercept": 0, "slope": 1}',
        false, 'for a benchmark') ON CONFLICT DO NOTHING
"""
_told = msgspec.json.Decoder(ChurnBandChanged)


async def run(world: World) -> Table:
    """One worker, as it is deployed; its events are read from Kafka."""
    scoring = next(s for s in stack.SERVICES if s.name == "scoring")
    url = world.backing.database_urls["scoring"]
    async with stack.services(world.directory, world.backing, which=[scoring], workers=0):
        pass  # the tables
    begins = datetime.now(UTC) + AHEAD
    await seed(url, begins)
    async with stack.services(world.directory, world.backing, which=[scoring]):
        await _sent(url)
        heard = await _hear(world.backing.bootstrap, begins)
    written = await _written(url)
    table = Table("", "p50 s", "p99 s", "last s", title=f"(g) {MASS:,} churn bands begin at one instant")
    for name, measured in (("in the outbox", written), ("on Kafka", heard)):
        p50, p99 = (measured.percentile(p) / 1000 for p in (50, 99))
        table.add_row(name, f"{p50:.1f}", f"{p99:.1f}", f"{max(measured.latencies):.1f}")
    table.add_row("aim", "", "", "5")
    return table


async def seed(url: str, begins: datetime, customers: int = MASS) -> list[UUID]:
    """Customers of many kinds who last bought just so long ago that their next band begins then."""
    random = np.random.default_rng(11)
    x, t_x, mean, band, silence = _some(random, customers)
    raw = random.bytes(16 * customers)
    ids = [UUID(bytes=raw[at : at + 16]) for at in range(0, len(raw), 16)]
    at = micros(begins)
    people = Customers.of(x, t_x, t_x + silence, mean)
    found = score(people, PUBLISHED.model, HORIZON)
    loyalty = 100 * repeat_rate(PUBLISHED.model.purchase, x, people.T, np.asarray(PUBLISHED.rate_quantiles))
    connection = await asyncpg.connect(url)
    states, scores = [], []
    for row, who in enumerate(ids):
        last = at - int(silence[row] * WEEK)
        days, first = int(x[row]) + 1, last - int(t_x[row] * WEEK)
        state = State(
            registered_at=first, purchases=days, days=days, first_at=first, last_at=last,
            spent_minor=int(mean[row] * days), repeat_minor=int(mean[row] * x[row]),
        )  # fmt: skip
        states.append((who, encode(state), instant(at), True))
        scores.append(
            (
                who, float(found.churn[row]), BANDS[band[row]], float(found.p_alive[row]),
                float(found.expected_purchases[row]), float(loyalty[row]), int(found.clv[row]),
                PUBLISHED.version, PUBLISHED.loyalty_weights.version, begins - timedelta(hours=1),
            )
        )  # fmt: skip
    try:
        for table, columns, records in (
            ("customer_state", "customer_id state due_at begins_band", states),
            (
                "customer_score",
                "customer_id churn band p_alive expected_purchases loyalty value_minor model_version"
                " weights_version scored_at",
                scores,
            ),
            ("stream_seq", "topic key seq", [("patron.scoring", str(who), 1) for who in ids]),
            (
                "stream_progress",
                "topic key last_seq parked held",
                [("patron.orders", str(who), 1, False, False) for who in ids],
            ),
        ):
            await connection.copy_records_to_table(table, columns=columns.split(), records=records)
            await connection.execute(f"VACUUM ANALYZE {table}")
        await fit_none(connection)
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    return ids


def _some(random: np.random.Generator, customers: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Purchases, the weeks they span, their mean, the place of the band, and the weeks it lasts from then."""
    rows, mean = population(random)
    bought = np.flatnonzero(rows.x > 0)[: 2 * customers]
    x, t_x, mean = rows.x[bought], rows.t_x[bought], mean[bought]
    at_once = Customers.of(x, t_x, t_x, mean)
    risk = score(at_once, PUBLISHED.model, HORIZON).churn
    band = np.minimum(np.searchsorted(BEGINS, risk, "right") - 1, len(BEGINS) - 2)
    silence = crossing(at_once, PUBLISHED.model, HORIZON, np.array(BEGINS)[band + 1])
    fit = np.flatnonzero((silence > 0.1) & (silence < 200))[:customers]
    assert len(fit) == customers
    return x[fit], t_x[fit], mean[fit], band[fit], silence[fit]


async def fit_none(connection: asyncpg.Connection) -> None:
    """Have no model fitted meanwhile, and everybody scored by it."""
    await connection.execute(_TRIED, json.dumps(PUBLISHED.parameters), np.eye(4).ravel().tolist())


async def _sent(url: str) -> None:
    """Wait until all are sent: whoever listened meanwhile would take a quarter of the processors."""
    connection = await asyncpg.connect(url)
    sent = "SELECT (SELECT count(*) FROM outbox) - (SELECT count(*) FROM outbox_unsent)"
    while await connection.fetchval(sent) < MASS:  # noqa: ASYNC110  (the worker tells only the database)
        await asyncio.sleep(0.5)
    await connection.close()


async def _hear(bootstrap: str, begins: datetime) -> Measured:
    """When each is heard of, after its band began; each once."""
    consumer = AIOKafkaConsumer("patron.scoring", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    measured, seen = Measured(), set[UUID]()
    try:
        while len(seen) < MASS:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    told = _told.decode(record.value)
                    assert told.customer_id not in seen
                    assert told.crossed_at is not None
                    assert abs(told.crossed_at - begins) < timedelta(seconds=1)
                    seen.add(told.customer_id)
                    measured.latencies.append(record.timestamp / 1000 - told.crossed_at.timestamp())
    finally:
        await consumer.stop()
    return measured


async def _written(url: str) -> Measured:
    connection = await asyncpg.connect(url)
    found = await connection.fetch(
        "SELECT extract(epoch FROM created_at)::float8, payload FROM outbox WHERE topic = 'patron.scoring'"
    )
    await connection.close()
    measured = Measured()
    for at, payload in found:
        crossed_at = _told.decode(payload).crossed_at
        assert crossed_at is not None
        measured.latencies.append(at - crossed_at.timestamp())
    return measured
