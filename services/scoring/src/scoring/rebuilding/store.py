"""SQL of rebuilds that were asked for."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from scoring.rebuilding.tables import RebuildRun
from shared.db import Database, Tx, new_id, row, rows
from shared.errors import Conflict, NotFound

_ONE_AT_A_TIME = 7468759

_IS_OPEN = "phase IN ('waiting', 'replaying')"
_OPEN = f"SELECT * FROM rebuild_run WHERE {_IS_OPEN}"
_INSERT = """
INSERT INTO rebuild_run (id, asked_by, asked_at, phase, events_total, events_done, events_per_second)
VALUES ($1, $2, $3, 'waiting', 0, 0, 0) ON CONFLICT DO NOTHING
"""
_NOTE = f"""
UPDATE rebuild_run SET phase = 'replaying', events_total = $2, events_done = $3, events_per_second = $4
WHERE id = $1 AND {_IS_OPEN} RETURNING *
"""
_ADD_DIFFERENT = """
UPDATE rebuild_run SET different = coalesce(different, 0) + $2
WHERE id = $1 AND phase = 'replaying' RETURNING *
"""
_DONE = """
UPDATE rebuild_run
SET phase = 'done', events_done = events_total, customers = (SELECT count(*) FROM customer_state),
    different = coalesce(different, 0), kept = $2, finished_at = now()
WHERE id = $1 AND phase = 'replaying' RETURNING *
"""
_CANCEL = f"""
UPDATE rebuild_run SET phase = 'cancelled', problem = 'cancelled by ' || $2, finished_at = $3
WHERE id = $1 AND {_IS_OPEN} RETURNING *
"""
_FAILED = f"""
UPDATE rebuild_run SET phase = 'failed', problem = $2, finished_at = now()
WHERE id = $1 AND {_IS_OPEN}
"""


class GivenUpError(Exception):
    """Somebody has given this rebuild up."""


def alone(db: Database) -> AbstractAsyncContextManager[bool]:
    """Whether nobody else is rebuilding at this moment, in whichever process; a crash lets go."""
    return db.alone(_ONE_AT_A_TIME)


async def ask(tx: Tx, asked_by: str, at: datetime) -> RebuildRun:
    """The rebuild that is asked for: a new one, or the one that is open already."""
    await tx.execute(_INSERT, new_id(), asked_by, at)
    found = await tx.fetchrow(_OPEN)
    assert found is not None
    return row(RebuildRun, found)


async def find_open(tx: Tx) -> RebuildRun | None:
    """The rebuild that waits or runs."""
    found = await tx.fetchrow(_OPEN)
    return None if found is None else row(RebuildRun, found)


async def get(tx: Tx, run_id: UUID) -> RebuildRun:
    """One rebuild; raises `NotFound`."""
    found = await tx.fetchrow("SELECT * FROM rebuild_run WHERE id = $1", run_id)
    if found is None:
        raise NotFound(f"There is no rebuild {run_id}; see GET /v1/rebuilds for those there were.")
    return row(RebuildRun, found)


async def list_runs(tx: Tx, limit: int) -> list[RebuildRun]:
    """The last rebuilds, the newest first."""
    return rows(
        RebuildRun, await tx.fetch("SELECT * FROM rebuild_run ORDER BY asked_at DESC LIMIT $1", limit)
    )


async def note(tx: Tx, run_id: UUID, total: int, done: int, per_second: int) -> None:
    """How far it is; raises `GivenUpError`."""
    await _go_on(tx, _NOTE, run_id, total, done, per_second)


async def add_different(tx: Tx, run_id: UUID, customers: int) -> None:
    """The states of so many more customers were different, and are mended in this transaction; raises
    `GivenUpError`."""
    await _go_on(tx, _ADD_DIFFERENT, run_id, customers)


async def finish(tx: Tx, run_id: UUID, kept: int) -> RebuildRun:
    """It is done; answers what was found. Raises `GivenUpError`."""
    return await _go_on(tx, _DONE, run_id, kept)


async def cancel(tx: Tx, run_id: UUID, by: str, at: datetime) -> RebuildRun:
    """Give it up; twice is once. Raises `NotFound`, or `Conflict` when it has ended already."""
    found = await tx.fetchrow(_CANCEL, run_id, by, at)
    if found is not None:
        return row(RebuildRun, found)
    run = await get(tx, run_id)
    if run.phase != "cancelled":
        raise Conflict(f"Rebuild {run_id} is {run.phase}: there is nothing left to cancel.")
    return run


async def _go_on(tx: Tx, statement: str, run_id: UUID, *given: int) -> RebuildRun:
    found = await tx.fetchrow(statement, run_id, *given)
    if found is None:
        raise GivenUpError(f"rebuild {run_id} was cancelled")
    return row(RebuildRun, found)


async def fail(tx: Tx, run_id: UUID, problem: str) -> None:
    """It cannot be done."""
    await tx.execute(_FAILED, run_id, problem)
