"""A million customers in scoring's database: their states, with timers ahead, and their figures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import numpy as np

from scoring.bands.domain import BANDS
from scoring.care.domain import PUBLISHED
from scoring.facts.domain import WEEK, State, encode
from scoring.facts.reading import micros
from scoring.models.arrays import Floats
from scoring.models.loyalty import repeat_rate
from scoring.models.rfm import Rows
from scoring.models.score import Customers, score
from tests.bench.population import CUSTOMERS, HORIZON_WEEKS, population

_BEGINS = (0.40, 0.65, 0.85)


async def seed(url: str) -> list[UUID]:
    """Fill the tables; answers the ids."""
    random = np.random.default_rng(7)
    rows, mean_amount = population(random)
    raw = random.bytes(16 * CUSTOMERS)
    ids = [UUID(bytes=raw[at : at + 16]) for at in range(0, len(raw), 16)]
    now = datetime.now(UTC)
    rings = random.uniform(1, 30 * 24, CUSTOMERS)
    connection = await asyncpg.connect(url)
    try:
        await connection.copy_records_to_table(
            "customer_state",
            columns=["customer_id", "state", "due_at"],
            records=zip(
                ids, _states(rows, mean_amount, now), (now + timedelta(hours=h) for h in rings), strict=True
            ),
        )
        await connection.copy_records_to_table(
            "customer_score",
            columns=[
                "customer_id", "churn", "band", "p_alive", "expected_purchases", "loyalty", "value_minor",
                "model_version", "weights_version", "scored_at",
            ],
            records=(
                (*row, PUBLISHED.version, PUBLISHED.loyalty_weights.version, now)
                for row in zip(ids, *_figures(rows, mean_amount), strict=True)
            ),
        )  # fmt: skip
        await connection.execute("VACUUM ANALYZE customer_state, customer_score")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    return ids


def _states(rows: Rows, mean_amount: Floats, now: datetime) -> Iterator[bytes]:
    at = micros(now)
    for x, t_x, T, mean in zip(
        rows.x.tolist(), rows.t_x.tolist(), rows.T.tolist(), mean_amount.tolist(), strict=True
    ):
        days, first = int(x) + 1, at - int(T * WEEK)
        yield encode(
            State(
                registered_at=first, purchases=days, days=days, first_at=first,
                last_at=first + int(t_x * WEEK), spent_minor=int(mean * days), repeat_minor=int(mean * x),
            )
        )  # fmt: skip


def _figures(rows: Rows, mean_amount: Floats) -> tuple[list[object], ...]:
    people, model = Customers.of(rows.x, rows.t_x, rows.T, mean_amount), PUBLISHED.model
    found = score(people, model, HORIZON_WEEKS)
    bands = np.array(BANDS)[np.searchsorted(_BEGINS, found.churn, "right")]
    loyalty = 100 * repeat_rate(model.purchase, rows.x, rows.T, np.asarray(PUBLISHED.rate_quantiles))
    value = np.rint(found.clv).astype(np.int64)
    return (
        found.churn.tolist(), bands.tolist(), found.p_alive.tolist(), found.expected_purchases.tolist(),
        loyalty.tolist(), value.tolist(),
    )  # fmt: skip
