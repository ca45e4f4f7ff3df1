"""Optimistic concurrency: every resource has an `ETag`, a change names the one it was made from."""

import re
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel

from shared.errors import FieldError, Malformed, PreconditionRequired, Stale

_TAG = re.compile(r'\s*(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


class Expected:
    """The versions a change may be applied to; `If-Match: *` means whichever is there."""

    __slots__ = ("versions",)

    def __init__(self, versions: frozenset[int] | None) -> None:
        self.versions = versions

    def allows(self, version: int) -> bool:
        """Whether the thing, at this version, is what the caller saw."""
        return self.versions is None or version in self.versions


def etag(version: int) -> str:
    """The tag of a version. Strong: If-Match compares strongly (RFC 9110, 13.1.1)."""
    return f'"{version}"'


def parse_if_match(header: str) -> Expected:
    """The versions named in an `If-Match` header, weak or not; tags that are not ours match nothing."""
    if header.strip() == "*":
        return Expected(None)
    versions: set[int] = set()
    at = 0
    while at < len(header):
        found = _TAG.match(header, at)
        if found is None:
            raise Malformed(
                'If-Match is malformed; send back the ETag as it was received, such as "3".',
                errors=[FieldError("If-Match", "must be a list of quoted tags, or *", header)],
            )
        if found[1].isascii() and found[1].isdigit() and len(found[1]) < 19:
            versions.add(int(found[1]))
        at = found.end()
    return Expected(frozenset(versions))


async def _expected(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="The ETag of what is being changed.")
    ] = None,
) -> Expected:
    if if_match is None or not if_match.strip():
        raise PreconditionRequired(
            "A change needs the header If-Match with the ETag of what it changes; read it first."
        )
    return parse_if_match(if_match)


IfMatch = Annotated[Expected, Depends(_expected)]


async def _expected_if_said(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="The ETag it was decided from, if that matters.")
    ] = None,
) -> Expected:
    return Expected(None) if if_match is None else parse_if_match(if_match)


IfMatchGiven = Annotated[Expected, Depends(_expected_if_said)]
"""For moves, which guard themselves: checked when it is sent."""


def check(expected: Expected, version: int, view: BaseModel) -> None:
    """Refuse a change made from another version than the current one; the answer shows what is there now."""
    if not expected.allows(version):
        raise Stale(
            f"It was changed and is now at {etag(version)}; look at current, decide, and try again.",
            headers={"ETag": etag(version)},
            current_etag=etag(version),
            current=view,
        )
