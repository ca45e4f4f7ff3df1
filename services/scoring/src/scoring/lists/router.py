"""Lists of scores over HTTP."""

from typing import Annotated, Any, Literal, cast

from fastapi import Depends, Query, Request

from scoring.bands.domain import BANDS
from scoring.lists.domain import Listed, Wanted
from scoring.lists.handlers import Everybody
from scoring.lists.schemas import BandCountsView, ListedScoreView, ScorePage
from shared.errors import FieldError, Invalid
from shared.events.scoring import Band
from shared.web.auth import Caller, Needs
from shared.web.deps import Time
from shared.web.paging import Pages
from shared.web.routing import Router

router = Router(prefix="/v1/scores", tags=["scores"])

Sort = Literal[
    "churn", "-churn", "loyalty", "-loyalty", "value", "-value", "band", "-band",
    "model_version", "-model_version",
]  # fmt: skip
_COLUMNS = {"value": "value_minor"}
Chance = Annotated[float | None, Query(ge=0, le=1, description="Bounds are included.")]
Index = Annotated[float | None, Query(ge=0, le=100, description="Bounds are included.")]
Minor = Annotated[int | None, Query(ge=0, lt=2**63, description="In minor units; bounds are included.")]


async def _everybody(request: Request) -> Everybody:
    return cast(Everybody, request.app.state.everybody)


async def _wanted(
    caller: Annotated[Caller, Needs("scores:read")],
    sort: Sort = "-churn",
    band: Annotated[list[Band] | None, Query(description="One or several.")] = None,
    churn_min: Chance = None,
    churn_max: Chance = None,
    loyalty_min: Index = None,
    loyalty_max: Index = None,
    value_min: Minor = None,
    value_max: Minor = None,
    model_version: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
) -> Wanted:
    bounds = {
        "churn": (churn_min, churn_max),
        "loyalty": (loyalty_min, loyalty_max),
        "value": (value_min, value_max),
        "model_version": (model_version, model_version),
    }
    empty = [
        FieldError(f"{name}_min", f"must not be above {name}_max", least)
        for name, (least, most) in bounds.items()
        if least is not None and most is not None and least > most
    ]
    if empty:
        raise Invalid("Nobody can be in a range whose least is above its greatest.", errors=empty)
    name = sort.removeprefix("-")
    return Wanted(
        column=_COLUMNS.get(name, name),
        down=sort.startswith("-"),
        bands=frozenset(band or ()),
        ranges={_COLUMNS.get(name, name): given for name, given in bounds.items() if given != (None, None)},
        customer_id=caller.customer_id,
    )


@router.get("")
async def list_scores(
    wanted: Annotated[Wanted, Depends(_wanted)],
    everybody: Annotated[Everybody, Depends(_everybody)],
    pages: Pages,
    clock: Time,
) -> ScorePage:
    """Everybody who has bought, in the order and under the filters asked for, with exact counts.

    Filters act together; several bands are alternatives. What happened is in the figures within a second or
    so of its event, and what time does as soon as it is noticeable: `as_of` says for which instant they hold.
    """
    walk = pages.over(
        "scores", column=wanted.column, down=wanted.down, bands=sorted(wanted.bands), ranges=wanted.ranges,
        customer_id=wanted.customer_id,
    )  # fmt: skip
    found, as_of = await everybody.page(wanted, walk.after, walk.fetch, clock.now())

    def key(row: Listed) -> tuple[Any, ...]:
        value = BANDS.index(row.band) if wanted.column == "band" else getattr(row, wanted.column)
        return value, row.customer_id

    page = walk.page(found.rows, ListedScoreView.model_validate, key=key)
    return ScorePage(
        items=page.items,
        next_cursor=page.next_cursor,
        total=sum(found.by_band.values()),
        by_band=BandCountsView.model_validate(found.by_band),
        as_of=as_of,
    )
