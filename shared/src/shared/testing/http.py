"""Talking to an application in its own process, as a caller of some role."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import httpx
from fastapi import FastAPI

from shared.clock import Clock
from shared.web.tokens import LOCAL_AUDIENCE, LOCAL_ISSUER, ensure_keys, jwks_url, mint


@cache
def test_keys() -> Path:
    """A key pair for this test run."""
    directory = Path(tempfile.mkdtemp(prefix="patron-keys-"))
    ensure_keys(directory)
    return directory


test_keys.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


def web_environment() -> dict[str, str]:
    """The web settings of a service under test; `client` mints tokens that fit them."""
    return {
        "OIDC_ISSUER": LOCAL_ISSUER,
        "OIDC_AUDIENCE": LOCAL_AUDIENCE,
        "OIDC_JWKS_URL": jwks_url(test_keys()),
        "CURSOR_SECRET": "only-for-tests-only-for-tests",
    }


def bearer(
    role: str = "manager", *, customer_id: UUID | None = None, sub: str | None = None
) -> dict[str, str]:
    """The header of a caller; valid through every year a test's clock may show."""
    issued_at = Clock().now()
    token = mint(
        test_keys(),
        role=role,
        sub=sub,
        customer_id=customer_id,
        ttl=timedelta(days=100 * 365),
        now=issued_at,
    )
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def client(
    app: FastAPI, role: str | None = "manager", *, customer_id: UUID | None = None, sub: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of a running application; several may be open, the first one starts and stops it."""
    headers = bearer(role, customer_id=customer_id, sub=sub) if role else {}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        _running(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http,
    ):
        yield http


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    if getattr(app.state, "running_under_test", False):
        yield
        return
    async with app.router.lifespan_context(app):
        app.state.running_under_test = True
        try:
            yield
        finally:
            app.state.running_under_test = False
