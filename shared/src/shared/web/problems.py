"""Refusals as RFC 9457 problem documents. Whatever the offending value was, rendering it must not fail."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from shared.errors import FieldError, Invalid, Malformed, MalformedJson, Refused
from shared.telemetry import current_trace_id

MEDIA_TYPE = "application/problem+json"

_LONGEST_VALUE = 100
_LARGEST_INT = 2**53
_PLACES = ("body", "query", "path", "header", "cookie")


def answer_problem(refused: Refused) -> Response:
    """The answer that tells a caller why not."""
    return Response(
        json.dumps(problem(refused), ensure_ascii=False, allow_nan=False).encode(),
        status_code=refused.status,
        headers=refused.headers,
        media_type=MEDIA_TYPE,
    )


def problem(refused: Refused) -> dict[str, Any]:
    """The members of the problem document."""
    document: dict[str, Any] = {
        "type": f"urn:patron:problem:{refused.type}",
        "title": refused.title,
        "status": refused.status,
        "detail": _printable(refused.detail),
    }
    trace_id = current_trace_id()
    if trace_id is not None:
        document["instance"] = f"urn:patron:trace:{trace_id}"
    if refused.errors:
        document["errors"] = [_shown(error) for error in refused.errors]
    for name, value in refused.extra.items():
        document[name] = plain(value)
    return document


def _shown(error: FieldError) -> dict[str, Any]:
    shown: dict[str, Any] = {"field": _printable(error.field), "rule": _printable(error.rule)}
    if error.value is not None:
        shown["value"] = show(error.value)
    return shown


def show(value: object) -> Any:
    """An offending value, short enough to read, fit for any JSON reader."""
    shown = plain(value)
    if isinstance(shown, (dict, list)):
        shown = json.dumps(shown, ensure_ascii=False)
    if isinstance(shown, str) and len(shown) > _LONGEST_VALUE:
        return shown[:_LONGEST_VALUE] + "…"
    return shown


def plain(value: object, depth: int = 6) -> Any:
    """A value as JSON that every reader takes: no NaN, no lone surrogate, no integer beyond 53 bits."""
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value, depth)
        case str():
            return _printable(value)
        case int():
            return value if abs(value) <= _LARGEST_INT else _digits(value)
        case float():
            return value if isfinite(value) else str(value)
        case date():
            return value.isoformat().replace("+00:00", "Z")  # an instant, as answers write it
        case UUID():
            return str(value)
        case bytes():
            return f"<{len(value)} bytes>"
        case BaseModel():
            return value.model_dump(mode="json")
        case Mapping() if depth:
            return {_printable(str(name)): plain(item, depth - 1) for name, item in value.items()}
        case list() | tuple() | set() | frozenset() if depth:
            return [plain(item, depth - 1) for item in value]
    return f"<{type(value).__name__}>"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _digits(value: int) -> str:
    # Python refuses to print integers of more than 4300 digits.
    return str(value) if value.bit_length() < 2000 else f"<integer of {value.bit_length()} bits>"


def from_validation(errors: Sequence[Mapping[str, Any]]) -> Refused:
    """What pydantic found wrong with a request, as one refusal that names every field."""
    for error in errors:
        if error["type"] == "json_invalid":
            return _malformed_json(str(error.get("ctx", {}).get("error", "")))
    found = [_field_error(error) for error in errors]
    if found == [FieldError("body", "missing: a JSON body is required")]:
        return Malformed("The request has no body; send a JSON object.")
    count = "1 value is" if len(found) == 1 else f"{len(found)} values are"
    return Invalid(
        f"{count} not acceptable; see errors, correct the request and send it again.", errors=found
    )


def _malformed_json(reason: str) -> Refused:
    place = re.search(r" at line (\d+) column (\d+)$", reason)
    if "hex escape" in reason or "surrogate" in reason:
        hint = "A \\u escape is incomplete, or a lone surrogate that is no character; correct it."
    elif "unicode" in reason:
        hint = "The body must be UTF-8."
    elif "recursion" in reason:
        hint = "It is nested too deeply."
    else:
        hint = "Send one JSON object."
    where: dict[str, Any] = {"line": int(place[1]), "column": int(place[2])} if place else {}
    return MalformedJson(f"The body is not valid JSON: {reason}. {hint}", **where)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    kind, location = str(error["type"]), tuple(error["loc"])
    place, path = (location[0], location[1:]) if location and location[0] in _PLACES else ("body", location)
    field = ".".join(str(part) for part in path) or str(place)
    if kind == "missing":
        what = "a JSON body is required" if not path else "this is required"
        return FieldError(field, f"missing: {what}")
    if kind == "extra_forbidden":
        return FieldError(field, "extra_forbidden: no such field here", error.get("input"))
    said = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return FieldError(field, f"{kind}: {_as_rule(said)}", error.get("input"))


def _as_rule(said: str) -> str:
    if said.startswith(("a ", "an ", "greater", "less", "one of", "'")):
        return f"must be {said}"
    return said if said[:2].isupper() else said[:1].lower() + said[1:]
