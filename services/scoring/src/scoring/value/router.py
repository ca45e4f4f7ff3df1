"""Values and losses over HTTP, and how well the methods foretell."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from starlette.responses import Response

from scoring.care import store as models
from scoring.serving.router import Arrived
from scoring.serving.store import unknown
from scoring.settings import Settings
from scoring.value import store
from scoring.value.handlers import compare, read_loss, read_methods, read_value
from scoring.value.losing import TEXTS, Factors
from scoring.value.schemas import LossView, ValueMethodsView, ValueView
from shared.web.answers import answer
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.idempotency import Idempotency
from shared.web.routing import Router
from shared.web.sync import SyncWanted

router = Router(prefix="/v1/scores", tags=["value"])
methods_router = Router(prefix="/v1/value-methods", tags=["value"])


def _factor(name: str, most: float) -> Any:
    return Query(ge=0, le=most, description=f"{TEXTS[name]} By default as set or estimated.")


async def _asked(
    spend_per_week_minor: Annotated[int | None, _factor("spend_per_week_minor", 10**12)] = None,
    weeks_per_year: Annotated[float | None, _factor("weeks_per_year", 53)] = None,
    years: Annotated[float | None, _factor("years", 100)] = None,
    told: Annotated[int | None, _factor("told", 10_000)] = None,
    heeding_share: Annotated[float | None, _factor("heeding_share", 1)] = None,
    retold_to: Annotated[int | None, _factor("retold_to", 1000)] = None,
    leaving_share: Annotated[float | None, _factor("leaving_share", 1)] = None,
) -> Factors:
    return Factors(spend_per_week_minor, weeks_per_year, years, told, heeding_share, retold_to, leaving_share)


@router.get("/{customer_id}/value", response_model=ValueView)
async def get_value(
    customer_id: UUID,
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    clock: Time,
    settings: Settings,
    arrivals: Arrived,
    sync: SyncWanted,
) -> Response:
    """What a customer is worth, as of this moment: purchases by the method that foretold best for customers
    like them, with its error; word of mouth, information and knowledge apart. The total is of what is
    measured."""
    if not caller.sees(customer_id):
        raise unknown(customer_id)
    headers = await arrivals.wait_for(sync)
    return answer(await read_value(db, settings, customer_id, clock.now()), headers=headers)


@router.get("/{customer_id}/loss", response_model=LossView)
async def get_loss(
    customer_id: UUID,
    caller: Annotated[Caller, Needs("scores:read")],
    db: Db,
    clock: Time,
    settings: Settings,
    arrivals: Arrived,
    sync: SyncWanted,
    asked: Annotated[Factors, Depends(_asked)],
) -> Response:
    """What losing a customer costs, those included whom they take along; each factor may be given instead."""
    if not caller.sees(customer_id):
        raise unknown(customer_id)
    headers = await arrivals.wait_for(sync)
    return answer(await read_loss(db, settings, customer_id, asked, clock.now()), headers=headers)


@methods_router.post("/compare", status_code=201, response_model=ValueMethodsView)
async def compare_value_methods(
    _caller: Annotated[Caller, Needs("scores:fit")],
    idempotency: Idempotency,
    db: Db,
    clock: Time,
    settings: Settings,
) -> Response:
    """Let the methods foretell the last third of the purchases from what was before, and take per segment the
    one with the least error from now on. 409 while that, or a fit of the model, is being done."""
    async with db.tx() as tx:
        await idempotency.begin(tx)  # answered before: no need to compare
    async with models.alone(db):
        made = await compare(db, clock.now())
        async with db.tx() as tx:
            await idempotency.begin(tx)
            await store.insert(tx, made)
            view = ValueMethodsView.of(made, settings.margin)
            return await idempotency.answer(tx, view, 201, {"Location": "/v1/value-methods"})


@methods_router.get("", response_model=ValueMethodsView)
async def get_value_methods(
    _caller: Annotated[Caller, Needs("scores:read")], db: Db, settings: Settings
) -> Response:
    """The last comparison: per segment every method's error, and the one that is taken."""
    return answer(await read_methods(db, settings))
