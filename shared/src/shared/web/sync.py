"""Reading one's own writes across services: a write answers with a `Sync-Token`, a read may wait for it."""

import re
from typing import Annotated, NamedTuple

from fastapi import Depends, Header

from shared.errors import FieldError, Malformed

_TOKEN = re.compile(r"([a-z_-]{1,40}):([\x21-\x2b\x2d-\x3c\x3e-\x7e]{1,100})=([0-9]{1,18})")
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_LONGEST_WAIT = 30
_MOST_TOKENS = 20


class SyncToken(NamedTuple):
    """The event that carries a write: which service wrote, under which key, as which of its sequence."""

    service: str
    key: str
    seq: int


class Sync(NamedTuple):
    """What a read has to have seen, and how many seconds it may wait to see it."""

    tokens: tuple[SyncToken, ...]
    wait: int


def sync_token(service: str, key: object, seq: int) -> str:
    """The header value for one event: `orders:0193…=7`."""
    return f"{service}:{key}={seq}"


def parse_sync_tokens(header: str | None) -> tuple[SyncToken, ...]:
    """The tokens of a `Sync-Token` header, separated by commas."""
    if not header or not header.strip():
        return ()
    tokens: list[SyncToken] = []
    for part in header.split(","):
        found = _TOKEN.fullmatch(part.strip())
        if found is None or len(tokens) == _MOST_TOKENS:
            raise Malformed(
                "Sync-Token is malformed; send back the header of the write as it was received.",
                errors=[
                    FieldError("Sync-Token", f"must be at most {_MOST_TOKENS} of service:key=number", part)
                ],
            )
        tokens.append(SyncToken(found[1], found[2], int(found[3])))
    return tuple(tokens)


def parse_wait(prefer: str | None) -> int:
    """The seconds of `Prefer: wait=N`, at most 30; other preferences are not for us."""
    found = _WAIT.search(prefer) if prefer else None
    return min(int(found[1]), _LONGEST_WAIT) if found else 0


async def _sync(
    sync_token: Annotated[
        str | None, Header(alias="Sync-Token", description="Sync-Token of a write to wait for.")
    ] = None,
    prefer: Annotated[
        str | None, Header(alias="Prefer", description="wait=N: how many seconds to wait, at most 30.")
    ] = None,
) -> Sync:
    return Sync(parse_sync_tokens(sync_token), parse_wait(prefer))


SyncWanted = Annotated[Sync, Depends(_sync)]
