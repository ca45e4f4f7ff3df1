"""SQL of comparisons, and the purchases they are held on."""

from datetime import datetime
from uuid import UUID

import msgspec
import numpy as np

from scoring.models.arrays import Floats
from scoring.models.value_backtest import Backtest
from scoring.models.value_history import Purchases
from scoring.value.domain import Comparison
from shared.db import Database, Tx

MOST_PURCHASES = 1_000_000
"""More tell the methods apart no better; where there are more, a sample of the customers is compared."""
_PEOPLE_AT_A_TIME = 250  # with thousands of purchases each, still a fraction of a second
_SECONDS_PER_WEEK = 604_800.0

_LATEST = """
SELECT version, compared_at, model_version, one_in, backtest FROM value_comparison ORDER BY version DESC
LIMIT 1
"""
_INSERT = """
INSERT INTO value_comparison (version, compared_at, model_version, one_in, backtest) VALUES ($1, $2, $3, $4,
$5)
"""
_COUNT = "SELECT count(*) FROM purchase_fact WHERE known_until IS NULL"
_PEOPLE = """
SELECT customer_id FROM customer_state WHERE customer_id > $1 AND mod(uuid_hash(customer_id)::bigint, $2) = 0
ORDER BY customer_id LIMIT $3
"""
# A customer's purchases of one day, in UTC, are one.
_PURCHASES = """
SELECT n.place - 1, extract(epoch FROM max(p.ordered_at))::float8, sum(p.amount_minor)::float8
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (customer_id, place)
JOIN purchase_fact p ON p.customer_id = n.customer_id
WHERE p.counts AND p.known_until IS NULL AND p.ordered_at <= $2
    AND p.known_until IS NULL
GROUP BY n.place, (p.ordered_at AT TIME ZONE 'UTC')::date
"""

_backtest = msgspec.json.Decoder(Backtest)


async def find_latest(tx: Tx) -> Comparison | None:
    """The comparison that is served."""
    found = await tx.fetchrow(_LATEST)
    if found is None:
        return None
    version, compared_at, model_version, one_in, backtest = found
    return Comparison(version, compared_at, model_version, one_in, _backtest.decode(backtest))


async def insert(tx: Tx, made: Comparison) -> None:
    """Store a comparison; it is served from the commit on."""
    await tx.execute(
        _INSERT,
        made.version,
        made.compared_at,
        made.model_version,
        made.one_in,
        msgspec.json.encode(made.backtest).decode(),
    )


async def sample(db: Database, until: datetime) -> tuple[Purchases, int]:
    """The purchases until then, weeks counted from 1970, of one in so many customers: the second answer."""
    async with db.read() as tx:
        one_in = 1 + int(await tx.fetchval(_COUNT)) // MOST_PURCHASES
    parts: list[Floats] = []
    people, after = 0, UUID(int=0)
    while True:
        async with db.read() as tx:
            who = [r[0] for r in await tx.fetch(_PEOPLE, after, one_in, _PEOPLE_AT_A_TIME)]
            if not who:
                break
            found = np.array([tuple(r) for r in await tx.fetch(_PURCHASES, who, until)]).reshape(-1, 3)
        found[:, 0] += people
        parts.append(found)
        people, after = people + len(who), who[-1]
    customer, seconds, amount = np.concatenate(parts or [np.empty((0, 3))]).T
    return Purchases.of(customer.astype(np.int64), seconds / _SECONDS_PER_WEEK, amount), one_in
