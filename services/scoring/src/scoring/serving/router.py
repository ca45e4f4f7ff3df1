"""Scores over HTTP."""

from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import Depends, Query, Request
from starlette.responses import Response

from scoring.serving import store
from scoring.serving.handlers import read_score
from scoring.serving.schemas import ListedScoreView, ScoreView
from scoring.serving.waiting import Arrivals
from scoring.settings import ScoringSettings
from shared.events.scoring import Band
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.sync import SyncWanted

router = Router(prefix="/v1/scores", tags=["scores"])

Sort = Literal["churn", "-churn", "loyalty", "-loyalty", "value", "-value"]
Horizon = Annotated[int | None, Query(ge=1, le=3650, description="Days; by default the deployment's own.")]


async def _settings(request: Request) -> ScoringSettings:
    return cast(ScoringSettings, request.app.state.settings)


async def _arrivals(request: Request) -> Arrivals:
    return cast(Arrivals, request.app.state.arrivals)


Settings = Annotated[ScoringSettings, Depends(_settings)]
Arrived = Annotated[Arrivals, Depends(_arrivals)]


@router.get("/{customer_id}", response_model=ScoreView)
async def get_score(
    customer_id: UUID,
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    clock: Time,
    settings: Settings,
    arrivals: Arrived,
    sync: SyncWanted,
    horizon_days: Horizon = None,
) -> Response:
    """A customer's loyalty, churn risk and value, as of this moment, with reasons that add up to the risk."""
    if not caller.sees(customer_id):
        raise store.unknown(customer_id)
    headers = await arrivals.wait_for(sync)
    return answer(await read_score(db, settings, customer_id, horizon_days, clock.now()), headers=headers)


@router.get("")
async def list_scores(
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    pages: Pages,
    band: Band | None = None,
    sort: Sort = "-churn",
) -> Page[ListedScoreView]:
    """Everybody who has bought, with figures that are at most about a minute old."""
    walk = pages.over("scores", sort=sort, band=band, customer_id=caller.customer_id)
    async with db.read() as tx:
        found = await store.list_scores(
            tx, sort=sort, band=band, customer_id=caller.customer_id, after=walk.after, limit=walk.fetch
        )
    column = store.SORTS[sort.removeprefix("-")]
    return walk.page(
        found, ListedScoreView.model_validate, key=lambda row: (getattr(row, column), row.customer_id)
    )
