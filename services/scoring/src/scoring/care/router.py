"""Models over HTTP: fit, list, read."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from scoring.care import store
from scoring.care.handlers import fit_everybody, publish
from scoring.care.schemas import ModelView
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.idempotency import Idempotency
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1/models", tags=["models"])

_NEWEST = 2**31 - 1


@router.post("/fit", status_code=201, response_model=ModelView)
async def fit_model(
    _caller: Annotated[Caller, Needs("scores:fit")], idempotency: Idempotency, db: Db, clock: Time
) -> Response:
    """Fit a new model to all customers as they now are, and serve it. 409 while another is being fitted."""
    async with db.tx() as tx:
        await idempotency.begin(tx)  # answered before: no need to fit
    async with store.alone(db):
        model = await fit_everybody(db, clock.now())
        async with db.tx() as tx:
            await idempotency.begin(tx)
            told = await publish(tx, model, clock.now())
            headers = {
                "Location": f"/v1/models/{model.version}",
                "Sync-Token": sync_token("scoring", told.key, told.seq),
            }
            return await idempotency.answer(tx, ModelView.of(model), 201, headers, version=model.version)


@router.get("")
async def list_models(
    _caller: Annotated[Caller, Needs("scores:read")], db: Db, pages: Pages
) -> Page[ModelView]:
    """All models there were, the newest first: that one is served."""
    walk = pages.over("models")
    async with db.read() as tx:
        found = await store.list_models(tx, walk.after[0] if walk.after else _NEWEST, walk.fetch)
    return walk.page(found, ModelView.of, key=lambda model: (model.version,))


@router.get("/{version}", response_model=ModelView)
async def get_model(
    version: Annotated[int, Path(ge=0, le=_NEWEST)], _caller: Annotated[Caller, Needs("scores:read")], db: Db
) -> Response:
    """One model, as it was when scores were computed with it."""
    async with db.read() as tx:
        model = await store.get(tx, version)
    return answer(ModelView.of(model), version=model.version)
