"""The OpenAPI documents of the four services: whole, and with a body for every import."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import pytest
from pydantic import SecretStr

from shared.web.assembly import build_api
from shared.web.settings import WebSettings

SERVICES = ("customer", "orders", "service_desk", "scoring")


@asynccontextmanager
async def nothing() -> AsyncIterator[dict[str, object]]:
    yield {}


def described(service: str) -> dict[str, Any]:
    settings = WebSettings(
        oidc_issuer="issuer", oidc_jwks_url="file:///keys", cursor_secret=SecretStr("s" * 32)
    )
    routers = import_module(f"{service}.app").SERVICE.routers
    return build_api(service, settings=settings, routers=routers, open_=nothing).openapi()


def references(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        if "$ref" in document:
            yield document["$ref"]
        for value in document.values():
            yield from references(value)
    elif isinstance(document, list):
        for value in document:
            yield from references(value)


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_leads_somewhere(service: str) -> None:
    document = described(service)
    found = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= found
    assert "$defs" not in str(document)


@pytest.mark.parametrize("service", SERVICES)
def test_every_import_describes_its_rows(service: str) -> None:
    imports = [path for name, path in described(service)["paths"].items() if name.startswith("/v1/imports/")]
    assert imports or service == "scoring"
    for path in imports:
        content = path["post"]["requestBody"]["content"]
        assert content["application/x-ndjson"]["schema"]["additionalProperties"] is False
        assert "id" in content["text/csv"]["example"].split(",")
