"""Answers that carry more than a body: a version, where the thing is, how to read it back."""

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response

from shared.web.concurrency import etag


def answer(
    view: BaseModel | None,
    *,
    status: int = 200,
    version: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`view` as JSON, with the `ETag` of its version."""
    sent = dict(headers or {})
    if version is not None:
        sent["ETag"] = etag(version)
    if view is None:
        return Response(status_code=status, headers=sent)
    body = view.__pydantic_serializer__.to_json(view)
    return Response(body, status_code=status, headers=sent, media_type="application/json")
