"""Loyalty weights over HTTP: read, read an earlier version, set."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from scoring.weights import domain, store
from scoring.weights.schemas import LoyaltyWeightsView, SetLoyaltyWeights
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.concurrency import IfMatch, check
from shared.web.deps import Db, Time
from shared.web.routing import Router

router = Router(prefix="/v1/loyalty-weights", tags=["loyalty"])


@router.get("", response_model=LoyaltyWeightsView)
async def get_loyalty_weights(_caller: Annotated[Caller, Needs("scores:read")], db: Db) -> Response:
    """What each indicator counts for now."""
    async with db.read() as tx:
        found = await store.latest(tx)
    return answer(LoyaltyWeightsView.of(found), version=found.version)


@router.get("/{version}", response_model=LoyaltyWeightsView)
async def get_loyalty_weights_version(
    version: Annotated[int, Path(ge=1, le=2**31 - 1)],
    _caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
) -> Response:
    """What each indicator counted for in scores that name this version."""
    async with db.read() as tx:
        found = await store.get(tx, version)
    return answer(LoyaltyWeightsView.of(found), version=found.version)


@router.put("", response_model=LoyaltyWeightsView)
async def set_loyalty_weights(
    body: SetLoyaltyWeights,
    expected: IfMatch,
    caller: Annotated[Caller, Needs("scores:fit")],
    db: Db,
    clock: Time,
) -> Response:
    """Set them, as a new version: scores are computed with it from now on, lists follow."""
    async with db.tx() as tx:
        before = await store.lock(tx)
        check(expected, before.version, LoyaltyWeightsView.of(before))
        made = domain.change(before, body.model_dump(), by=caller.id, at=clock.now())
        if made is not before:
            await store.insert(tx, made)
    return answer(LoyaltyWeightsView.of(made), version=made.version)
