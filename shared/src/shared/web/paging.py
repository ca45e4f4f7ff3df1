"""Keyset pages: a signed cursor says after which row to go on, for one sort and one set of filters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from shared.errors import FieldError, Invalid

T = TypeVar("T")
Row = TypeVar("Row")

_MAC_BYTES = 16

Limit = Annotated[int, Query(ge=1, le=200, description="Items per page.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="next_cursor of the page before; none for the first.")
]


class Page(BaseModel, Generic[T]):
    """Some items, and where to go on; no `next_cursor` means that there are no more."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next_cursor: str | None = None


class Walk:
    """One request for a page of a list: where it starts, and how to close the page."""

    __slots__ = ("_bound_to", "_secret", "after", "limit")

    def __init__(self, limit: int, after: tuple[Any, ...] | None, secret: bytes, bound_to: bytes) -> None:
        self.limit = limit
        self.after = after
        self._secret = secret
        self._bound_to = bound_to

    @property
    def fetch(self) -> int:
        """How many rows to ask the database for: one more than the page holds."""
        return self.limit + 1

    def page(
        self, rows: Sequence[Row], view: Callable[[Row], T], *, key: Callable[[Row], tuple[Any, ...]]
    ) -> Page[T]:
        """The page of the rows fetched; `key` gives the sort values that tell a row from all others."""
        kept = rows[: self.limit]
        more = len(rows) > self.limit
        cursor = encode(key(kept[-1]), self._secret, self._bound_to) if more else None
        return Page(items=[view(row) for row in kept], next_cursor=cursor)


class Paging:
    """`limit` and `cursor` of a list route; `over` binds them to what the list is of."""

    __slots__ = ("_cursor", "_secret", "limit")

    def __init__(self, limit: int, cursor: str | None, secret: bytes) -> None:
        self.limit = limit
        self._cursor = cursor
        self._secret = secret

    def over(self, what: str, **sort_and_filters: object) -> Walk:
        """The walk over one list; a cursor of another list, sort or filter is refused."""
        bound = json.dumps([what, sort_and_filters], default=_tagged, sort_keys=True).encode()
        after = None if self._cursor is None else decode(self._cursor, self._secret, bound)
        return Walk(self.limit, after, self._secret, bound)


async def _paging(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Paging:
    return Paging(limit, cursor, request.app.state.cursor_secret)


Pages = Annotated[Paging, Depends(_paging)]


def encode(after: tuple[Any, ...], secret: bytes, bound_to: bytes) -> str:
    """A cursor that goes on after these sort values."""
    place = json.dumps([_tagged(value) for value in after], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(place, secret, bound_to) + place).rstrip(b"=").decode()


def decode(cursor: str, secret: bytes, bound_to: bytes) -> tuple[Any, ...]:
    """The sort values of a cursor; refuses one that was changed, or made for another list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    place = raw[_MAC_BYTES:]
    if not hmac.compare_digest(raw[:_MAC_BYTES], _mac(place, secret, bound_to)):
        raise Invalid(
            "The cursor is not of this list with this sort and these filters; start without a cursor.",
            errors=[FieldError("cursor", "must be next_cursor of a page of the same list", cursor)],
        )
    return tuple(_untagged(value) for value in json.loads(place))


def _mac(place: bytes, secret: bytes, bound_to: bytes) -> bytes:
    signed = hashlib.sha256(bound_to).digest() + place
    return hmac.digest(secret, signed, "sha256")[:_MAC_BYTES]


def _tagged(value: object) -> Any:
    match value:
        case Enum():
            return _tagged(value.value)
        case None | bool() | int() | float() | str():
            return value
        case UUID():
            return {"u": value.hex}
        case datetime():
            return {"t": value.isoformat()}
        case date():
            return {"d": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be part of a cursor")


def _untagged(value: Any) -> Any:
    match value:
        case {"u": text}:
            return UUID(text)
        case {"t": text}:
            return datetime.fromisoformat(text)
        case {"d": text}:
            return date.fromisoformat(text)
    return value
