"""SQL of fitted models, and the customers they are fitted to."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from scoring.care.domain import PUBLISHED, Served, of_row, to_row
from scoring.care.tables import FittedModel
from scoring.facts.domain import State, decode
from scoring.facts.store import list_states
from scoring.weights.store import decode as decode_weights
from shared.db import Database, Tx
from shared.errors import Conflict, NotFound

_ONE_AT_A_TIME = 7468758
_PEOPLE_AT_A_TIME = 5000
_read: dict[Record, Served] = {}

_COLUMNS = """
version, kind, fitted_at, customers, repeat_buyers, complaints, prior_driven, log_likelihood, parameters,
standard_errors, rate_quantiles, complaint_effect
"""
_LATEST = """
SELECT m.version, m.fitted_at, m.parameters, w.version AS weights_version, w.weights
FROM (SELECT) AS one
LEFT JOIN (SELECT * FROM fitted_model ORDER BY version DESC LIMIT 1) m ON true
LEFT JOIN (SELECT * FROM loyalty_weights ORDER BY version DESC LIMIT 1) w ON true
"""
_LATEST_AT = """
SELECT m.version, w.version AS weights_version, w.weights
FROM (SELECT) AS one
LEFT JOIN (SELECT * FROM fitted_model WHERE fitted_at <= $1 ORDER BY version DESC LIMIT 1) m ON true
LEFT JOIN (SELECT * FROM loyalty_weights WHERE valid_from <= $1 ORDER BY version DESC LIMIT 1) w ON true
"""
_GET = f"SELECT {_COLUMNS} FROM fitted_model WHERE version = $1"
_LIST = f"SELECT {_COLUMNS} FROM fitted_model WHERE version < $1 ORDER BY version DESC LIMIT $2"
_INSERT = f"INSERT INTO fitted_model ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


@asynccontextmanager
async def alone(db: Database) -> AsyncIterator[None]:
    """Refuse unless nobody else fits a model at this moment, in whichever process; a crash lets go."""
    async with db.read() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _ONE_AT_A_TIME):
            raise Conflict(
                "A model is being fitted at this moment; see GET /v1/models when it is done, or try again.",
                headers={"Retry-After": "5"},
            )
        try:
            yield
        finally:
            try:
                await connection.execute("SELECT pg_advisory_unlock($1)", _ONE_AT_A_TIME)
            except BaseException:
                connection.terminate()  # or the pool would keep it, and the lock with it
                raise


async def served(tx: Tx) -> Served:
    """The model that scores are computed with, and the weights of loyalty. Neither ever changes, so they are
    read whole only once."""
    latest = await tx.fetchrow(_LATEST)
    assert latest is not None
    kept = _read.get(latest)
    if kept is None:
        _read.clear()
        kept = _read[latest] = await _weighed(tx, latest)
    return kept


async def served_at(tx: Tx, instant: datetime) -> Served:
    """The model and the weights that scores were computed with at that instant."""
    latest = await tx.fetchrow(_LATEST_AT, instant)
    assert latest is not None
    return await _weighed(tx, latest)


async def get(tx: Tx, version: int) -> Served:
    """A model of that version; 0 is the published one."""
    if version == PUBLISHED.version:
        return PUBLISHED
    found = await tx.fetchrow(_GET, version)
    if found is None:
        raise NotFound(f"There is no model of version {version}; see GET /v1/models for those there are.")
    return _served(found)


async def list_models(tx: Tx, before: int, limit: int) -> list[Served]:
    """Models older than a version, the newest first; the published one comes last."""
    found = [_served(r) for r in await tx.fetch(_LIST, before, limit)]
    return found if len(found) == limit or before <= PUBLISHED.version else [*found, PUBLISHED]


async def insert(tx: Tx, model: Served) -> None:
    """Store a fitted model; it is served from the commit on."""
    row = to_row(model)
    await tx.execute(
        _INSERT, row.version, row.kind, row.fitted_at, row.customers, row.repeat_buyers, row.complaints,
        row.prior_driven, row.log_likelihood, json.dumps(row.parameters), json.dumps(row.standard_errors),
        row.rate_quantiles, row.complaint_effect and json.dumps(row.complaint_effect),
    )  # fmt: skip


async def everybody(db: Database) -> AsyncIterator[Sequence[State]]:
    """All customers' states, some thousand at a time."""
    after = UUID(int=0)
    while True:
        async with db.read() as tx:
            found = await list_states(tx, after, _PEOPLE_AT_A_TIME)
        if not found:
            return
        yield [decode(state) for state in found.values()]
        after = [*found][-1]


async def _weighed(tx: Tx, latest: Record) -> Served:
    model = PUBLISHED if latest["version"] is None else await get(tx, latest["version"])
    if latest["weights_version"] is None:
        return model
    return replace(model, loyalty_weights=decode_weights(latest["weights_version"], latest["weights"]))


def _served(record: object) -> Served:
    values = dict(record)  # type: ignore[call-overload]  # asyncpg's Record is a mapping in all but type
    for name in ("parameters", "standard_errors", "complaint_effect"):
        values[name] = values[name] and json.loads(values[name])
    return of_row(FittedModel(**values))
