"""SQL of the figures that lists show."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scoring.lists.domain import COLUMNS
from shared.db import Tx

_REACHED = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS all_before,
       (SELECT min(due_at) FROM customer_state WHERE due_at IS NOT NULL) AS next_due,
       (SELECT id FROM server_run) AS run
"""
_NEW_RUN = "INSERT INTO server_run (id) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING"
_CHANGED = """
SELECT customer_id, churn,
       (coalesce(array_position(ARRAY['low', 'medium', 'high', 'critical'], band), 0) - 1)::int2,
       p_alive, expected_purchases, loyalty, value_minor, model_version,
       weights_version, scored_at
FROM customer_score WHERE changed >= {}
"""
# A row in PostgreSQL's binary COPY: how many fields, then each with its length before it.
_ROW = np.dtype(
    [("fields", ">i2")]
    + [
        part
        for name, kind in COLUMNS.items()
        for part in ((f"length_{name}", ">i4"), (name, kind if kind.startswith("S") else f">{kind}"))
    ]
)
_HEAD, _TAIL = 19, 2


class Reached(NamedTuple):
    """Up to where figures are known: all transactions before one, when the next customer is due, and in which
    run of the server that is."""

    all_before: int
    next_due: datetime | None
    run: UUID | None


async def reached(tx: Tx) -> Reached:
    """To be asked before what has changed, which is then as new at least."""
    (found,) = await tx.fetch(_REACHED)
    if found["run"] is None:
        await tx.execute(_NEW_RUN)
        (found,) = await tx.fetch(_REACHED)
    return Reached(**found)


async def changed(tx: Tx, since: int) -> NDArray[Any]:
    """The figures written by this transaction or a later one; each field a column of `COLUMNS`."""
    raw = bytearray()

    async def more(data: bytes) -> None:
        raw.extend(data)

    await tx.copy_from_query(_CHANGED.format(int(since)), output=more, format="binary", timeout=300)
    rows = np.frombuffer(raw, _ROW, (len(raw) - _HEAD - _TAIL) // _ROW.itemsize, _HEAD)
    if not (rows["fields"] == len(COLUMNS)).all():
        raise ValueError("the figures are not laid out as expected")
    return rows
