"""Scores over HTTP."""

from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import Depends, Header, Query, Request
from starlette.responses import Response

from scoring.serving import store
from scoring.serving.handlers import read_receipt, read_score
from scoring.serving.past import Asked, asked, read_past_receipt, read_past_score
from scoring.serving.schemas import ReceiptView, ScoreView
from scoring.serving.texts import LANGUAGES
from scoring.serving.together import Together
from scoring.serving.waiting import Arrivals
from scoring.settings import Settings
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.fields import Instant
from shared.web.language import preferred
from shared.web.routing import Router
from shared.web.sync import SyncWanted

router = Router(prefix="/v1/scores", tags=["scores"])

Horizon = Annotated[int | None, Query(ge=1, le=3650, description="Days; by default the deployment's own.")]
WithIntervals = Annotated[
    bool | None,
    Query(description="With 90 % intervals; by default where the model is prior-driven."),
]


async def _arrivals(request: Request) -> Arrivals:
    return cast(Arrivals, request.app.state.arrivals)


async def _together(request: Request) -> Together:
    return cast(Together, request.app.state.together)


Arrived = Annotated[Arrivals, Depends(_arrivals)]
ScoredTogether = Annotated[Together, Depends(_together)]


async def _past(
    clock: Time,
    as_of: Annotated[Instant | None, Query(description="A past instant, by default this moment.")] = None,
    known: Annotated[
        Literal["then", "now"] | None, Query(description="What was known then, or is known now of then.")
    ] = None,
    orders_seq: Annotated[int | None, Query(ge=0, description="`progress.orders` of an answer.")] = None,
    service_desk_seq: Annotated[
        int | None, Query(ge=0, description="`progress.service_desk` of the same answer.")
    ] = None,
    model_version: Annotated[int | None, Query(ge=0, description="`model.version` of it.")] = None,
) -> Asked | None:
    return asked(as_of, known, (orders_seq, service_desk_seq), model_version, clock.now())


async def _language(
    accept_language: Annotated[
        str | None,
        Header(alias="Accept-Language", description="English (en) or Chinese (zh); English by default."),
    ] = None,
) -> str:
    return preferred(accept_language, LANGUAGES)


Past = Annotated[Asked | None, Depends(_past)]
Language = Annotated[str, Depends(_language)]


@router.get("/{customer_id}", response_model=ScoreView)
async def get_score(
    customer_id: UUID,
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    clock: Time,
    settings: Settings,
    together: ScoredTogether,
    arrivals: Arrived,
    sync: SyncWanted,
    past: Past,
    language: Language,
    horizon_days: Horizon = None,
    intervals: WithIntervals = None,
) -> Response:
    """A customer's loyalty, churn risk and value, as of this moment, with reasons that add up to the risk.

    With `as_of` as of a past instant: as it was then known, or with `known=now` as it is now known to have
    been. With the `as_of`, `progress` and model version of an earlier answer that answer comes again.
    """
    if not caller.sees(customer_id):
        raise store.unknown(customer_id)
    if past is not None:
        view = await read_past_score(db, settings, customer_id, horizon_days, language, intervals, past)
        return answer(view, headers=spoken(language))
    headers = await arrivals.wait_for(sync)
    view = await read_score(together, settings, customer_id, horizon_days, language, intervals, clock.now())
    return answer(view, headers=headers | spoken(language))


@router.get("/{customer_id}/receipt", response_model=ReceiptView)
async def get_receipt(
    customer_id: UUID,
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    clock: Time,
    settings: Settings,
    arrivals: Arrived,
    sync: SyncWanted,
    past: Past,
    language: Language,
    horizon_days: Horizon = None,
) -> Response:
    """What a score is made of: contributions that add up to the log-odds of churn, points that add up to the
    loyalty index, factors whose product is the value; each line in words, with the events it stands on.

    `as_of` and what goes with it as in the score.
    """
    if not caller.sees(customer_id):
        raise store.unknown(customer_id)
    if past is not None:
        view = await read_past_receipt(db, settings, customer_id, horizon_days, language, past)
        return answer(view, headers=spoken(language))
    headers = await arrivals.wait_for(sync)
    view = await read_receipt(db, settings, customer_id, horizon_days, language, clock.now())
    return answer(view, headers=headers | spoken(language))


def spoken(language: str) -> dict[str, str]:
    """Headers that say in which language an answer is."""
    return {"Content-Language": language, "Vary": "Accept-Language"}
