"""Models over HTTP: fit, list, read, report, serve again."""

from typing import Annotated

from fastapi import Path
from starlette.responses import HTMLResponse, Response

from scoring.care import store
from scoring.care.handlers import count, decide, make, serve_again
from scoring.care.schemas import ModelView, ServeModel
from scoring.settings import Settings
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.idempotency import Idempotency
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import sync_token

router = Router(prefix="/v1/models", tags=["models"])

_NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'"

Version = Annotated[int, Path(ge=0, le=store.NEWEST)]


@router.post("/fit", status_code=201, response_model=ModelView)
async def fit_model(
    _caller: Annotated[Caller, Needs("scores:fit")],
    idempotency: Idempotency,
    db: Db,
    clock: Time,
    settings: Settings,
) -> Response:
    """Fit a model to all customers as they now are, backtest and calibrate it; serve it unless it is worse.

    `state` says whether it is served or was refused, `why` and `evidence` say why. 409 while another is
    being fitted.
    """
    async with db.tx() as tx:
        await idempotency.begin(tx)  # answered before: no need to fit
    async with store.alone(db):
        made = await make(db, settings, clock.now())
        async with db.tx() as tx:
            await idempotency.begin(tx)
            told = await decide(tx, made, clock.now())
            version = made.model.version
            headers = {
                "Location": f"/v1/models/{version}",
                "Sync-Token": sync_token("scoring", told.key, told.seq),
            }
            view = ModelView.of(await store.get_attempt(tx, version), settings)
            reply = await idempotency.answer(tx, view, 201, headers, version=version)
    count(made)
    return reply


@router.get("")
async def list_models(
    _caller: Annotated[Caller, Needs("scores:read")], db: Db, settings: Settings, pages: Pages
) -> Page[ModelView]:
    """All models there were, the newest first, each with what became of it."""
    walk = pages.over("models")
    async with db.read() as tx:
        found = await store.list_attempts(tx, walk.after[0] if walk.after else store.NEWEST, walk.fetch)
    return walk.page(found, lambda one: ModelView.of(one, settings), key=lambda one: (one.model.version,))


@router.get("/{version}", response_model=ModelView)
async def get_model(
    version: Version, _caller: Annotated[Caller, Needs("scores:read")], db: Db, settings: Settings
) -> Response:
    """One model: its parameters, what was decided about it, and on what evidence."""
    async with db.read() as tx:
        attempt = await store.get_attempt(tx, version)
    return answer(ModelView.of(attempt, settings), version=version)


@router.get("/{version}/report", response_class=HTMLResponse)
async def get_report(version: Version, _caller: Annotated[Caller, Needs("scores:read")], db: Db) -> Response:
    """A page about it for people: verdict, charts, what has changed. It needs nothing from elsewhere."""
    async with db.read() as tx:
        page = await store.get_report(tx, version)
    return HTMLResponse(page, headers={"Content-Security-Policy": _NOTHING_FROM_ELSEWHERE})


@router.post("/{version}/serve", response_model=ModelView)
async def serve_model(
    version: Version,
    body: ServeModel,
    caller: Annotated[Caller, Needs("scores:fit")],
    idempotency: Idempotency,
    db: Db,
    clock: Time,
    settings: Settings,
) -> Response:
    """Go back to a model that was served before: scores are computed with it from now on, bands follow.

    409 for one that was refused. The schedule goes on: the next model is compared with this one.
    """
    async with db.tx() as tx:
        await idempotency.begin(tx)
        attempt = await serve_again(tx, version, clock.now(), caller.id, body.reason)
        return await idempotency.answer(tx, ModelView.of(attempt, settings), 200, {}, version=version)
