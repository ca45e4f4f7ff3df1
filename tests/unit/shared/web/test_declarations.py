"""What a route or a setting may not be is refused when the process starts, not when a request comes."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends
from pydantic import BaseModel, ValidationError

from shared.web.assembly import build_api
from shared.web.fields import Body
from shared.web.routing import Router
from shared.web.settings import WebSettings


class Given(Body):
    name: str


class Loose(BaseModel):
    name: str


async def _yields() -> AsyncIterator[int]:
    yield 1


async def _with_yield(one: Annotated[int, Depends(_yields)]) -> None: ...
async def _loose_body(body: Loose) -> None: ...
async def _two_bodies(one: Given, two: Given) -> None: ...
async def _untyped_body(body: dict[str, int]) -> None: ...
async def _background(tasks: BackgroundTasks) -> None: ...
def _blocking() -> None: ...


@pytest.mark.parametrize(
    "endpoint", [_with_yield, _loose_body, _two_bodies, _untyped_body, _background, _blocking]
)
def test_a_route_that_would_not_keep_the_conventions_cannot_be_declared(endpoint: object) -> None:
    with pytest.raises(TypeError):
        Router().post("/x")(endpoint)  # type: ignore[type-var]


def test_a_service_cannot_use_a_router_that_does_not_keep_the_conventions() -> None:
    router = APIRouter()
    router.get("/x")(_loose_body)
    settings = WebSettings.model_construct(cursor_secret=GOOD.cursor_secret)
    with pytest.raises(TypeError, match="Router"):
        build_api("x", settings=settings, routers=[router], open_=None)  # type: ignore[arg-type]


GOOD = WebSettings.model_validate(
    {"oidc_issuer": "i", "oidc_jwks_url": "file:///keys.json", "cursor_secret": "0123456789abcdef"}
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "usd"},
        {"currency": "DOLLAR"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"oidc_jwks_url": "keys.json"},
        {"cursor_secret": "short"},
        {"log_format": "xml"},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, str]) -> None:
    good = {"oidc_issuer": "i", "oidc_jwks_url": "file:///k", "cursor_secret": "0123456789abcdef"}
    with pytest.raises(ValidationError):
        WebSettings.model_validate(good | wrong)


def test_the_secret_is_not_shown() -> None:
    assert "0123456789abcdef" not in repr(GOOD)
