"""The worker's job that tells when something about a customer's past has become known."""

import asyncio
from collections.abc import Sequence
from math import isnan
from uuid import UUID

import structlog

from scoring.bands import store
from scoring.care import store as models
from scoring.care.domain import Served
from scoring.facts.domain import State, decode
from scoring.facts.reading import micros
from scoring.serving.figures import customers_of, figures, standings
from scoring.settings import ScoringSettings
from shared.bus.outbox import emit
from shared.clock import Clock
from shared.db import Database
from shared.events.scoring import RestatedFigures, ScoreRestated

BATCH = 500
LOOK_EVERY_SECONDS = 0.5

_LOCK_RESTATED = """
SELECT customer_id, restated_from, state FROM customer_state WHERE restated_from IS NOT NULL
ORDER BY customer_id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_TOLD = "UPDATE customer_state SET restated_from = NULL WHERE customer_id = ANY($1)"

log = structlog.get_logger()


async def tell_restatements(db: Database, clock: Clock, settings: ScoringSettings) -> None:
    """Tell of every restated score, once."""
    while True:
        if await restate(db, clock, settings) < BATCH:
            await asyncio.sleep(LOOK_EVERY_SECONDS)


async def restate(db: Database, clock: Clock, settings: ScoringSettings) -> int:
    """Tell of those who wait for it; answers how many."""
    async with db.tx() as tx:
        found = await tx.fetch(_LOCK_RESTATED, BATCH)
        if not found:
            return 0
        ids: list[UUID] = [r[0] for r in found]
        counted = await store.events_counted(tx, ids)
        served = await models.served_with(tx, settings)
        now, days = clock.now(), settings.churn_horizon_days
        before, after = await asyncio.to_thread(
            lambda: [_figures([decode(r[n]) for r in found], served, days, micros(now)) for n in (1, 2)]
        )
        changes = [
            ScoreRestated(
                customer_id=who, before=was, after=now_is, horizon_days=days, model=served.name, as_of=now,
                orders_seq=counted[who][0], service_desk_seq=counted[who][1],
            )
            for who, was, now_is in zip(ids, before, after, strict=True)
        ]  # fmt: skip
        await tx.execute(_TOLD, ids)
        await emit(tx, *changes, at=now)
    return len(found)


def _figures(states: Sequence[State], served: Served, days: int, now: int) -> list[RestatedFigures]:
    told = [RestatedFigures(purchases=state.purchases) for state in states]
    rows = [row for row, state in enumerate(states) if state.purchases]
    if rows:
        bought = [states[row] for row in rows]
        people = customers_of(bought, now)
        found, loyal = figures(people, served, days / 7), standings(bought, people, served)
        for place, row in enumerate(rows):
            told[row] = RestatedFigures(
                purchases=states[row].purchases,
                p_alive=float(found.p_alive[place]),
                churn_probability=float(found.churn[place]),
                expected_purchases=float(found.expected_purchases[place]),
                loyalty=None if isnan(loyal.index[place]) else float(loyal.index[place]),
                value_minor=int(found.value_minor[place]),
            )
    return told
