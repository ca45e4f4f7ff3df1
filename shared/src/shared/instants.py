"""When something happened, as a caller says it; and periods: rules that every service keeps alike."""

from datetime import datetime, timedelta
from typing import NamedTuple

from shared.errors import FieldError, Forbidden, Invalid

SKEW = timedelta(seconds=60)
"""How far a caller's clock may be off ours before an instant is taken for past or future."""


class When(NamedTuple):
    """The instant a caller gave for something, if any; and now.

    `missing_scope`: the one that the caller would need to tell the past; None: the past is theirs to tell.
    """

    field: str
    given: datetime | None
    now: datetime
    missing_scope: str | None = None

    def instant(self, *, not_before: datetime | None = None, called: str = "") -> datetime:
        """When it happened: as given, within the rules and never later than now, else now.

        `called` names the field of `not_before`. Raises `Invalid` or `Forbidden`.
        """
        earliest = not_before or self.now
        if self.given is None:
            return max(self.now, earliest)  # another server's clock may be ahead of ours
        if self.given > self.now + SKEW:
            raise self._invalid(f"must not be in the future (it is {in_words(self.now)} now)")
        if self.missing_scope and self.given < self.now - SKEW:
            raise Forbidden(
                f"{self.field} {in_words(self.given)} is in the past, and telling the past needs the scope "
                f"{self.missing_scope}; leave {self.field} out to say that it happens now.",
                errors=[
                    FieldError(self.field, f"must be now, without the scope {self.missing_scope}", self.given)
                ],
                missing_scope=self.missing_scope,
            )
        if not_before is not None and self.given < not_before:
            raise self._invalid(f"must not be before {called} {in_words(not_before)}")
        return min(self.given, max(self.now, earliest))

    def _invalid(self, rule: str) -> Invalid:
        return Invalid(
            f"{self.field} {in_words(self.given or self.now)} {rule}; correct it and send the request again.",
            errors=[FieldError(self.field, rule, self.given)],
        )


def require_period(first: str, begin: datetime | None, last: str, end: datetime | None) -> None:
    """Refuse a period that does not end after it begins; `first` and `last` name its fields."""
    if begin and end and end <= begin:
        rule = f"must be after {first} {in_words(begin)}"
        raise Invalid(
            f"{last} {in_words(end)} {rule}: the period runs from {first} up to, not including, {last}.",
            errors=[FieldError(last, rule, end)],
        )


def in_words(instant: datetime) -> str:
    """The instant as callers write it."""
    return instant.isoformat().replace("+00:00", "Z")
