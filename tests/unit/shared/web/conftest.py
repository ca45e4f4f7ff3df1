"""A small API that uses every convention once, without a database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from pydantic import Field, SecretStr
from starlette.responses import Response

from shared.errors import FieldError, Invalid, NotFound
from shared.testing import FixedClock
from shared.testing.http import client, test_keys
from shared.web.answers import answer
from shared.web.assembly import build_api
from shared.web.auth import Caller, Needs
from shared.web.concurrency import IfMatch, check
from shared.web.deps import Time
from shared.web.fields import Body, Instant, Minor, Name, Quantity, View, Word
from shared.web.paging import Page, Pages
from shared.web.routing import Router
from shared.web.settings import WebSettings
from shared.web.sync import SyncWanted
from shared.web.tokens import LOCAL_ISSUER, jwks_url

CUSTOMER = UUID("018f3f0a-0000-7000-8000-000000000001")
PRODUCT = UUID("018f3f0a-0000-7000-8000-000000000002")


class Channel(Enum):
    WEB = "web"
    STORE = "store"


class Line(Body):
    product_id: UUID
    quantity: Quantity


class PlaceOrder(Body):
    customer_id: UUID
    channel: Channel = Channel.WEB
    lines: Annotated[list[Line], Field(min_length=1, max_length=500)]
    ordered_at: Instant | None = None
    note: Name | None = None
    paid_minor: Minor | None = None
    weight: float | None = None
    gift: bool = False


class CancelOrder(Body):
    reason: Name


class OrderView(View):
    id: int
    customer_id: UUID = CUSTOMER
    note: str | None = None
    ordered_at: Instant | None = None


router = Router(prefix="/v1/orders", tags=["orders"])
Writer = Annotated[Caller, Needs("orders:write")]
Reader = Annotated[Caller, Needs("orders:read")]


@router.post("", status_code=201)
async def place_order(body: PlaceOrder, caller: Writer) -> OrderView:
    return OrderView(id=1, customer_id=body.customer_id, note=body.note, ordered_at=body.ordered_at)


@router.get("")
async def list_orders(
    caller: Reader,
    pages: Pages,
    customer_id: UUID | None = None,
    note: Word | None = None,
    channel: Annotated[list[Channel] | None, Query()] = None,
    since: Instant | None = None,
    sort: Literal["id", "-id"] = "id",
) -> Page[OrderView]:
    walk = pages.over("orders", sort=sort, customer_id=customer_id)
    (first,) = walk.after or (0,)
    found = range(first + 1, min(first + 1 + walk.fetch, 8))
    return walk.page(found, lambda id_: OrderView(id=id_), key=lambda id_: (id_,))


@router.get("/{order_id}", response_model=OrderView)
async def get_order(
    order_id: Annotated[int, Field(ge=1, le=2**31)], caller: Reader, sync: SyncWanted
) -> Response:
    if not caller.sees(CUSTOMER):
        raise NotFound(f"There is no order {order_id}.")
    return answer(OrderView(id=order_id, note=f"{sync.wait}"), version=3)


@router.patch("/{order_id}", response_model=OrderView)
async def change_order(order_id: int, body: CancelOrder, expected: IfMatch, caller: Writer) -> Response:
    check(expected, 3, OrderView(id=order_id))
    return answer(OrderView(id=order_id), version=4)


@router.post("/{order_id}/cancel", response_model=OrderView)
async def cancel_order(
    order_id: int, caller: Writer, clock: Time, body: CancelOrder | None = None
) -> Response:
    return answer(OrderView(id=order_id, note=body.reason if body else None, ordered_at=clock.now()))


@router.delete("/{order_id}", status_code=204)
async def remove_order(order_id: int, caller: Writer) -> None:
    return None


@router.post("/strange", status_code=201)
async def refuse_strangely(caller: Writer) -> OrderView:
    strange: Sequence[Any] = ("\ud800", float("nan"), 10**5000, b"\xff", {"a": "\udfff"}, object(), "x" * 500)
    raise Invalid(
        "no \ud800", errors=[FieldError("strange", "may not be", value) for value in strange], seen=strange
    )


@router.post("/broken")
async def break_down(caller: Writer) -> OrderView:
    raise RuntimeError("secret password")


imports = Router(prefix="/v1/imports", tags=["imports"])


@imports.post("/orders")
async def import_orders(
    request: Request, caller: Annotated[Caller, Needs("orders:import")]
) -> dict[str, int]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"bytes": size}


def build(clock: FixedClock, db: object = None) -> FastAPI:
    settings = WebSettings(
        oidc_issuer=LOCAL_ISSUER,
        oidc_jwks_url=jwks_url(test_keys()),
        cursor_secret=SecretStr("only-for-tests-only-for-tests"),
    )

    @asynccontextmanager
    async def open_() -> AsyncIterator[dict[str, object]]:
        yield {"db": db, "clock": clock}

    return build_api("orders", settings=settings, routers=[router, imports], open_=open_)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def api(clock: FixedClock) -> FastAPI:
    return build(clock)


@pytest.fixture
async def http(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A manager."""
    async with client(api) as caller:
        yield caller
