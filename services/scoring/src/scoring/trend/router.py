"""Loyalty and its trend over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from scoring.serving.router import Arrived, Language, Past, spoken
from scoring.serving.store import unknown
from scoring.settings import Settings
from scoring.trend.handlers import read_trend
from scoring.trend.schemas import LoyaltyTrendView
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.routing import Router
from shared.web.sync import SyncWanted

router = Router(prefix="/v1/scores", tags=["loyalty"])

DaysAgo = Annotated[
    list[Annotated[int, Field(ge=1, le=3650)]],
    Query(max_length=12, description="What to compare with, so many days ago; may be repeated."),
]


@router.get("/{customer_id}/loyalty", response_model=LoyaltyTrendView)
async def get_loyalty(
    customer_id: UUID,
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    clock: Time,
    settings: Settings,
    arrivals: Arrived,
    sync: SyncWanted,
    past: Past,
    language: Language,
    days_ago: DaysAgo = [90, 365],  # noqa: B006  (never changed)
) -> Response:
    """A customer's loyalty and its trend, against 90 days and a year ago or as `days_ago` says: direction,
    difference, and what changed most among the indicators, in points that add up to it.

    `as_of` and what goes with it as in the score: the trend then looks back from there.
    """
    if not caller.sees(customer_id):
        raise unknown(customer_id)
    headers = {} if past else await arrivals.wait_for(sync)
    view = await read_trend(db, settings, customer_id, days_ago, language, past, clock.now())
    return answer(view, headers=headers | spoken(language))
