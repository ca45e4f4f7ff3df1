"""Strict shapes for request bodies and parameters: no unknown field, no coercion, no unprintable text."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from shared.errors import FieldError, Invalid

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_CONTROL = frozenset([*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"])
_CONTROL_IN_TEXT = _CONTROL - {"\n", "\t", "\r"}


class Body(BaseModel):
    """Base of request bodies: every field known, of its own type, and never changed after reading.

    The bytes of a request are parsed and validated in one pass, in which JSON strings are read as UUIDs,
    instants and enum values, and nothing else is coerced. Code builds one from values of the right types.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class View(BaseModel):
    """Base of answers: plain, frozen shapes, built from values that are known to be right."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def _one_line(text: str) -> str:
    if not _CONTROL.isdisjoint(text):
        raise PydanticCustomError("control_character", "must be one line without control characters")
    return text


def _several_lines(text: str) -> str:
    if not _CONTROL_IN_TEXT.isdisjoint(text):
        raise PydanticCustomError("control_character", "must not contain control characters")
    return text


def _visible(text: str) -> str:
    if not any(char.isprintable() and not char.isspace() for char in text):
        raise PydanticCustomError("invisible", "must contain a visible character")
    return text


def _instant(given: Any) -> Any:
    if isinstance(given, datetime):
        moment = given
    elif isinstance(given, str):
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            raise PydanticCustomError(
                "instant", "must be a date and time of ISO 8601 with an offset, such as 2026-03-01T09:30:00Z"
            ) from None
    else:
        raise PydanticCustomError("instant", "must be text: an ISO 8601 date and time with an offset")
    if moment.utcoffset() is None:
        raise PydanticCustomError("instant_without_offset", "must carry an offset, such as Z or +08:00")
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        utc = None
    if utc is None or not _EARLIEST <= utc < _LATEST:
        raise PydanticCustomError("instant_out_of_range", "must lie in the years 1900 to 2199")
    return utc


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_line),
    AfterValidator(_visible),
]
"""One line that names something: a customer, a product, a subject."""

Text = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_several_lines)]
"""Free text of several lines."""

SomeText = Annotated[Text, AfterValidator(_visible)]
"""Free text that says something."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
"""A filter or search text in a query string."""

Minor = Annotated[int, Field(ge=0, le=10**15)]
"""Money in minor units of the deployment's currency."""

Quantity = Annotated[int, Field(ge=1, le=10**6)]

Seq = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""A place in a stream of events."""

Currency = Annotated[str, StringConstraints(min_length=3, max_length=3, pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code; `same_currency` says whether it is the deployment's."""

Instant = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]
"""An aware date and time, whatever its offset; UTC once read."""


def same_currency(value: str | None, currency: str, *, field: str = "currency") -> None:
    """Refuse an amount in another currency than the deployment's."""
    if value is not None and value != currency:
        raise Invalid(
            f"Amounts here are in {currency}, not {value}; convert the amount, or leave the field out.",
            errors=[FieldError(field, f"must be {currency}, the currency of this deployment", value)],
        )
