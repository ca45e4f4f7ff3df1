"""SQL of loyalty weights."""

import json

from asyncpg import Record

from scoring.models.loyalty import Weights
from scoring.weights.domain import FIRST, SetWeights
from shared.db import Tx
from shared.errors import NotFound

_COLUMNS = "version, valid_from, set_by, weights"
_LATEST = f"SELECT {_COLUMNS} FROM loyalty_weights ORDER BY version DESC LIMIT 1"
_GET = f"SELECT {_COLUMNS} FROM loyalty_weights WHERE version = $1"
_INSERT = f"INSERT INTO loyalty_weights ({_COLUMNS}) VALUES ($1, $2, $3, $4)"
# Lets readers go on.
_LOCK = "LOCK TABLE loyalty_weights IN EXCLUSIVE MODE"


async def latest(tx: Tx) -> SetWeights:
    """The weights that are served."""
    return _set_weights(await tx.fetchrow(_LATEST))


async def get(tx: Tx, version: int) -> SetWeights:
    """Weights of that version."""
    if version == FIRST.version:
        return FIRST
    found = await tx.fetchrow(_GET, version)
    if found is None:
        raise NotFound(
            f"There are no loyalty weights of version {version}; GET /v1/loyalty-weights shows the latest."
        )
    return _set_weights(found)


async def lock(tx: Tx) -> SetWeights:
    """The latest weights, which nobody else changes until the transaction ends."""
    await tx.execute(_LOCK)
    return await latest(tx)


async def insert(tx: Tx, made: SetWeights) -> None:
    """Store weights; they are served from the commit on."""
    await tx.execute(_INSERT, made.version, made.valid_from, made.set_by, json.dumps(made.by_indicator))


def decode(version: int, weights: str) -> Weights:
    """Weights as they are stored."""
    return Weights(version, **json.loads(weights))


def _set_weights(record: Record | None) -> SetWeights:
    if record is None:
        return FIRST
    version, valid_from, set_by, weights = record
    return SetWeights(decode(version, weights), valid_from, set_by)
