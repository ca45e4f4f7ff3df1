"""The API's description: FastAPI's, with problem documents as the answers to what is refused."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_PROBLEM = {
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "description": "What kind of problem; stable.",
            "examples": ["urn:patron:problem:invalid"],
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, and what can be done."},
        "instance": {"type": "string", "description": "urn:patron:trace: and the trace id."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "rule"],
                "properties": {
                    "field": {"type": "string", "examples": ["lines.0.quantity"]},
                    "rule": {
                        "type": "string",
                        "examples": ["greater_than_equal: must be greater than or equal to 1"],
                    },
                    "value": {"description": "What was sent, shortened."},
                },
            },
        },
    },
}
_REFUSED = {
    "description": "Refused; see the problem document.",
    "headers": {"Trace-Id": {"schema": {"type": "string"}}},
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_OPERATIONS = frozenset({"get", "put", "post", "patch", "delete"})
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FASTAPIS_OWN:
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for path in document.get("paths", {}).values():
        for operation in (path[method] for method in path if method in _OPERATIONS):
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _REFUSED
            for media in operation.get("requestBody", {}).get("content", {}).values():
                schemas.update(media["schema"].pop("$defs", {}))  # of what a route described by itself
    return document
