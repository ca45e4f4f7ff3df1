"""Rebuilds over HTTP: ask for one, and see how far it is."""

from typing import Annotated
from uuid import UUID

from starlette.responses import Response

from scoring.rebuilding import store
from scoring.rebuilding.schemas import RebuildsView, RebuildView
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.routing import Router

router = Router(prefix="/v1/rebuilds", tags=["rebuilds"])

_SHOWN = 50


@router.post("", status_code=202, response_model=RebuildView)
async def ask_for_rebuild(
    caller: Annotated[Caller, Needs("scores:rebuild")], db: Db, clock: Time
) -> Response:
    """Have all of scoring built again from the log, beside the live one, which goes on meanwhile.

    While one is open, that one is the answer. A worker begins within some seconds.
    """
    async with db.tx() as tx:
        run = await store.ask(tx, caller.id, clock.now())
    return answer(RebuildView.of(run), status=202, headers={"Location": f"/v1/rebuilds/{run.id}"})


@router.get("", response_model=RebuildsView)
async def list_rebuilds(_caller: Annotated[Caller, Needs("scores:rebuild")], db: Db) -> Response:
    """The last rebuilds, the newest first."""
    async with db.read() as tx:
        found = await store.list_runs(tx, _SHOWN)
    return answer(RebuildsView(items=[RebuildView.of(run) for run in found]))


@router.post("/{run_id}/cancel", response_model=RebuildView)
async def cancel_rebuild(
    run_id: UUID, caller: Annotated[Caller, Needs("scores:rebuild")], db: Db, clock: Time
) -> Response:
    """Give it up. What it has mended already stays mended; the worker clears the rest away.

    409 for one that has ended.
    """
    async with db.tx() as tx:
        run = await store.cancel(tx, run_id, caller.id, clock.now())
    return answer(RebuildView.of(run))


@router.get("/{run_id}", response_model=RebuildView)
async def get_rebuild(run_id: UUID, _caller: Annotated[Caller, Needs("scores:rebuild")], db: Db) -> Response:
    """How far a rebuild is, or what it found."""
    async with db.read() as tx:
        run = await store.get(tx, run_id)
    return answer(RebuildView.of(run))
