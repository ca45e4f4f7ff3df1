"""SQL of models, of which is served, and of the customers they are fitted to."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from scoring.care.attempts import Attempt, ModelState, evidence, prior
from scoring.care.domain import PUBLISHED, Served, as_deployed, of_row, to_row
from scoring.care.judging import Judgement
from scoring.care.tables import FittedModel
from scoring.facts.domain import State, decode
from scoring.facts.store import list_states
from scoring.settings import ScoringSettings
from scoring.weights.store import decode as decode_weights
from shared.db import Database, Tx
from shared.errors import Conflict, NotFound

NEWEST = 2**31 - 1
"""No version of a model is higher."""
_ONE_AT_A_TIME = 7468758
_PEOPLE_AT_A_TIME = 5000
_read: dict[Record, Served] = {}

_COLUMNS = """
version, kind, fitted_at, customers, repeat_buyers, complaints, prior_driven, log_likelihood, parameters,
standard_errors, rate_quantiles, complaint_effect, covariance, calibrator
"""
_NAMES = _COLUMNS.replace(",", " ").split()
_DECIDED = f"{_COLUMNS}, published, why, evidence"
_LATEST = """
SELECT m.version, m.fitted_at, m.parameters, w.version AS weights_version, w.weights
FROM (SELECT) AS one
LEFT JOIN (SELECT version FROM model_serving ORDER BY id DESC LIMIT 1) s ON true
LEFT JOIN fitted_model m ON m.version = s.version
LEFT JOIN (SELECT * FROM loyalty_weights ORDER BY version DESC LIMIT 1) w ON true
"""
_LATEST_AT = """
SELECT m.version, w.version AS weights_version, w.weights
FROM (SELECT) AS one
LEFT JOIN (SELECT version FROM model_serving WHERE served_from <= $1 ORDER BY id DESC LIMIT 1) m ON true
LEFT JOIN (SELECT * FROM loyalty_weights WHERE valid_from <= $1 ORDER BY version DESC LIMIT 1) w ON true
"""
_GET = f"SELECT {_COLUMNS} FROM fitted_model WHERE version = $1"
_GET_ATTEMPT = f"SELECT {_DECIDED} FROM fitted_model WHERE version = $1"
_LIST = f"SELECT {_DECIDED} FROM fitted_model WHERE version < $1 ORDER BY version DESC LIMIT $2"
_LAST = f"SELECT {_COLUMNS} FROM fitted_model ORDER BY version DESC LIMIT 1"
_INSERT = f"""
INSERT INTO fitted_model ({_DECIDED})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""
_SERVED_VERSION = "SELECT version FROM model_serving ORDER BY id DESC LIMIT 1"
# Lets readers go on.
_LOCK_SERVING = "LOCK TABLE model_serving IN EXCLUSIVE MODE"
_SERVE = "INSERT INTO model_serving (version, served_from, actor, reason) VALUES ($1, $2, $3, $4)"
_GET_REPORT = "SELECT page FROM model_report WHERE version = $1"
_INSERT_REPORT = "INSERT INTO model_report (version, page) VALUES ($1, $2)"


@asynccontextmanager
async def alone(db: Database) -> AsyncIterator[None]:
    """Refuse unless nobody else fits a model at this moment, in whichever process; a crash lets go."""
    async with db.alone(_ONE_AT_A_TIME) as mine:
        if not mine:
            raise Conflict(
                "A model is being fitted at this moment; see GET /v1/models when it is done, or try again.",
                headers={"Retry-After": "5"},
            )
        yield


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


async def served_with(tx: Tx, settings: ScoringSettings) -> Served:
    """The same with what the deployment states."""
    return as_deployed(await served(tx), settings.margin, settings.assumed_effect)


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
        raise _unknown(version)
    return _served(found)


async def find_newest(tx: Tx) -> Served:
    """The latest model, served or refused; the published one where there was none."""
    found = await tx.fetchrow(_LAST)
    return PUBLISHED if found is None else _served(found)


async def served_version(tx: Tx) -> int:
    """Which model scores are computed with."""
    return int(await tx.fetchval(_SERVED_VERSION) or PUBLISHED.version)


async def get_attempt(tx: Tx, version: int) -> Attempt:
    """A model with the decision about it."""
    current = await served_version(tx)
    if version == PUBLISHED.version:
        return prior("served" if current == version else "superseded")
    found = await tx.fetchrow(_GET_ATTEMPT, version)
    if found is None:
        raise _unknown(version)
    return _attempt(found, current)


async def list_attempts(tx: Tx, before: int, limit: int) -> list[Attempt]:
    """Models older than a version, the newest first; the published one comes last."""
    current = await served_version(tx)
    found = [_attempt(r, current) for r in await tx.fetch(_LIST, before, limit)]
    if len(found) == limit or before <= PUBLISHED.version:
        return found
    return [*found, prior("served" if current == PUBLISHED.version else "superseded")]


async def insert(tx: Tx, model: Served, judgement: Judgement, page: str) -> None:
    """Store a model with what was decided, and the page about it."""
    row = to_row(model, published=judgement.published, why=judgement.why)
    await tx.execute(
        _INSERT, row.version, row.kind, row.fitted_at, row.customers, row.repeat_buyers, row.complaints,
        row.prior_driven, row.log_likelihood, json.dumps(row.parameters), json.dumps(row.standard_errors),
        row.rate_quantiles, row.complaint_effect and json.dumps(row.complaint_effect), row.covariance,
        json.dumps(row.calibrator), row.published, row.why, json.dumps(evidence(judgement)),
    )  # fmt: skip
    await tx.execute(_INSERT_REPORT, row.version, page)


async def lock_serving(tx: Tx) -> None:
    """Nobody else decides which model is served until the transaction ends."""
    await tx.execute(_LOCK_SERVING)


async def serve(tx: Tx, version: int, at: datetime, actor: str, reason: str) -> None:
    """From the commit on, scores are computed with that model."""
    await tx.execute(_SERVE, version, at, actor, reason)


async def get_report(tx: Tx, version: int) -> str:
    """The page about a model."""
    page = await tx.fetchval(_GET_REPORT, version)
    if page is None:
        raise NotFound(f"There is no report of a model {version}; every model fitted from now on has one.")
    return str(page)


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


def _unknown(version: int) -> NotFound:
    return NotFound(f"There is no model of version {version}; see GET /v1/models for those there are.")


def _attempt(record: Record, current: int) -> Attempt:
    published, version = record["published"], record["version"]
    state: ModelState = "served" if version == current else "superseded" if published else "refused"
    told = record["evidence"]
    return Attempt(_served(record), state, record["why"], told and json.loads(told))


def _served(record: Record) -> Served:
    values = {name: record[name] for name in _NAMES}
    for name in ("parameters", "standard_errors", "complaint_effect", "calibrator"):
        values[name] = values[name] and json.loads(values[name])
    return of_row(FittedModel(**values))
