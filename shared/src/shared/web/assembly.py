"""Puts a service's HTTP side together."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from shared.clock import Clock
from shared.web.auth import Auth
from shared.web.handlers import add_handlers
from shared.web.health import health_routes
from shared.web.middleware import BodyLimit, Observed
from shared.web.openapi import describe
from shared.web.routing import Route
from shared.web.settings import WebSettings

Open = Callable[[], AbstractAsyncContextManager[dict[str, object]]]


def build_api(title: str, *, settings: WebSettings, routers: Sequence[APIRouter], open_: Open) -> FastAPI:
    """The application. `open_` opens what the process works with, and closes it again at the end.

    What `open_` yields is found on `app.state`: `db` (a Database) it must have; `clock` and `auth` are the
    usual ones unless given; `ready` may add to the readiness check.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_() as opened:
            clock = opened.get("clock") or Clock()
            assert isinstance(clock, Clock)
            for name, value in {"clock": clock, "auth": Auth(settings, clock), **opened}.items():
                setattr(app.state, name, value)
            yield

    app = FastAPI(
        title=title,
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        # We trace and count ourselves, at a fifth of the cost.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.cursor_secret = settings.cursor_secret.get_secret_value().encode()
    app.add_middleware(BodyLimit)
    app.add_middleware(Observed)  # added last, so outermost
    add_handlers(app)
    # Routes are tried in order: the service's own first.
    app.router.routes[:0] = [route for router in routers for route in _checked(router)]
    app.router.routes.extend(health_routes())
    app.openapi = _described_once(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _checked(router: APIRouter) -> list[Any]:
    # Taken over as they are: FastAPI's include_router resolves a second tree of routes on every request.
    for route in router.routes:
        if isinstance(route, APIRoute) and not isinstance(route, Route):
            raise TypeError(
                f"{route.path} must be declared on shared.web.routing.Router: its body is not strict"
            )
    return router.routes


def _described_once(app: FastAPI) -> Callable[[], dict[str, Any]]:
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(describe(app))
        return document

    return openapi


_DESCRIPTION = """
Every refusal is a problem document (RFC 9457) that names the rule and says what can be done. Every answer
carries `Trace-Id`. Lists are paged: pass `next_cursor` as `cursor` with the same filters. A change needs
`If-Match` with the `ETag` it was made from. A POST with an `Idempotency-Key` can be
repeated safely for 24 hours.
""".strip()
