"""What customers did, read from the facts for backtests: purchases by day, complaints by spell."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from scoring.care.judging import History
from scoring.facts.domain import WEIGHTS, Spell
from scoring.models.arrays import Ints
from scoring.models.backtest import Complaints, Purchases
from scoring.models.complaints import OPEN
from shared.db import Database

MOST_CUSTOMERS = 50_000
"""More tell models apart no better; where there are more, a sample of them is tried."""
_PEOPLE_AT_A_TIME = 1000
_OPEN = np.iinfo(np.int64).min  # how numpy writes NaT

_COUNT = "SELECT count(*) FROM customer_state"
_PEOPLE = """
SELECT customer_id FROM customer_state WHERE customer_id > $1 AND mod(uuid_hash(customer_id)::bigint, $2) = 0
ORDER BY customer_id LIMIT $3
"""
_PURCHASES = """
SELECT DISTINCT n.place - 1, (p.ordered_at AT TIME ZONE 'UTC')::date - DATE '1970-01-01'
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (customer_id, place)
JOIN purchase_fact p ON p.customer_id = n.customer_id AND p.counts AND p.ordered_at <= $2
    AND p.known_until IS NULL
"""
_COMPLAINTS = """
SELECT n.place - 1, c.severity, c.spells
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (customer_id, place)
JOIN complaint_fact c ON c.customer_id = n.customer_id AND c.counts AND c.known_until IS NULL
"""

_spells = msgspec.json.Decoder(list[Spell])


async def read(db: Database, until: datetime) -> History:
    """Up to and with the day before `until`, the last that is over."""
    async with db.read() as tx:
        one_in = 1 + int(await tx.fetchval(_COUNT)) // MOST_CUSTOMERS
    days = [np.empty((0, 2), dtype=np.int64)]
    felt: list[tuple[int, int, int, int, float]] = []
    people, after = 0, UUID(int=0)
    while True:
        async with db.read() as tx:
            who = [r[0] for r in await tx.fetch(_PEOPLE, after, one_in, _PEOPLE_AT_A_TIME)]
            if not who:
                break
            bought = await tx.fetch(_PURCHASES, who, until)
            complained = await tx.fetch(_COMPLAINTS, who)
        found = np.array([tuple(r) for r in bought], dtype=np.int64).reshape(-1, 2)
        found[:, 0] += people
        days.append(found)
        for place, severity, spells in complained:
            felt += _felt(people + place, WEIGHTS[severity], _spells.decode(spells))
        people, after = people + len(who), who[-1]
    return History(
        _purchases(np.concatenate(days)), _complaints(felt), (until - timedelta(days=1)).date(), one_in
    )


def _felt(who: int, weight: float, spells: list[Spell]) -> list[tuple[int, int, int, int, float]]:
    """Each spell as a complaint of its own; opened again, it leaves no window."""
    found = []
    for place, (opened, resolved, outcome) in enumerate(spells):
        last = place + 1 == len(spells)
        found.append(
            (who, opened, _OPEN if resolved is None else resolved, outcome if last else OPEN, weight)
        )
    return found


def _purchases(rows: Ints) -> Purchases:
    return Purchases(rows[:, 0], rows[:, 1].astype("datetime64[D]"))


def _complaints(felt: list[tuple[int, int, int, int, float]]) -> Complaints:
    who, opened, resolved, outcome, weight = zip(*felt, strict=True) if felt else ((),) * 5
    return Complaints(
        np.array(who, dtype=np.int64), _instants(opened), _instants(resolved),
        np.array(outcome, dtype=np.int64), np.array(weight, dtype=np.float64),
    )  # fmt: skip


def _instants(micros: Any) -> Any:
    return np.array(micros, dtype=np.int64).view("datetime64[us]")
