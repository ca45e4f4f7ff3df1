"""`Idempotency-Key`: a request sent twice is done once, and answered twice alike.

The answer is stored in the transaction that does the work. An advisory lock, held to the end of that
transaction, tells a second request that the first is still at it. A request that is refused stores nothing.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from shared.clock import Clock
from shared.db import Tx
from shared.errors import FieldError, InProgress, KeyReused, Malformed
from shared.web.answers import answer
from shared.web.auth import authenticated

KEPT_FOR = timedelta(hours=24)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_BEGIN = """
SELECT pg_try_advisory_xact_lock($1) AS locked, k.body_hash, k.status, k.headers, k.body
FROM (SELECT) AS one
LEFT JOIN idempotency_key k ON k.caller = $2 AND k.route = $3 AND k.key = $4
"""

_STORE = """
INSERT INTO idempotency_key (caller, route, key, body_hash, status, headers, body, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""

_FORGET = "DELETE FROM idempotency_key WHERE created_at < $1"


class Replay(Exception):
    """The answer given before; leaves the transaction, and is sent as it is."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


class KeyedRequest:
    """One request and its key, if it has one; without, `begin` does nothing and `answer` only answers."""

    __slots__ = ("_body_hash", "_caller", "_clock", "_key", "_lock", "_route")

    def __init__(self, key: str | None, caller: str, route: str, body: bytes, clock: Clock) -> None:
        self._key = key
        self._caller = caller
        self._route = route
        self._clock = clock
        if key is not None:
            self._body_hash = _hash(caller, route, body)
            self._lock = int.from_bytes(_hash(caller, route, key.encode())[:8], "big", signed=True)

    async def begin(self, tx: Tx) -> None:
        """First statement of the transaction: replays what was answered, refuses what is in progress."""
        if self._key is None:
            return
        found = await tx.fetchrow(_BEGIN, self._lock, self._caller, self._route, self._key)
        assert found is not None
        if found["status"] is not None:
            if found["body_hash"] != self._body_hash:
                raise KeyReused(
                    "This Idempotency-Key was used for a request with another body; use a new key.",
                    errors=[FieldError("Idempotency-Key", "must be new for a new request", self._key)],
                )
            raise Replay(_answered_before(found["status"], found["headers"], found["body"]))
        if not found["locked"]:
            raise self._in_progress()

    async def answer(
        self,
        tx: Tx,
        view: BaseModel | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        version: int | None = None,
    ) -> Response:
        """The answer, stored in the transaction of what it answers."""
        response = answer(view, status=status, version=version, headers=headers)
        if self._key is None:
            return response
        kept = {
            name: value for name, value in response.headers.items() if name not in ("content-length", "date")
        }
        stored = await tx.execute(
            _STORE,
            self._caller,
            self._route,
            self._key,
            self._body_hash,
            status,
            json.dumps(kept),
            bytes(response.body),
            self._clock.now(),
        )
        if stored == "INSERT 0 0":  # the other one committed between our look and our lock
            raise self._in_progress()
        return response

    def _in_progress(self) -> InProgress:
        return InProgress(
            "A request with this Idempotency-Key is being worked on; send it again in a second.",
            headers={"Retry-After": "1"},
        )


def _answered_before(status: int, headers: str, body: bytes) -> Response:
    response = Response(body, status_code=status, headers=json.loads(headers))
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _hash(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


async def _keyed(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Unique per intended change; a repetition within 24 hours gets the first answer.",
        ),
    ] = None,
) -> KeyedRequest:
    clock = cast(Clock, request.app.state.clock)
    if idempotency_key is None:
        return KeyedRequest(None, "", "", b"", clock)
    if not _KEY.fullmatch(idempotency_key):
        raise Malformed(
            "Idempotency-Key is malformed; a UUID will do.",
            errors=[
                FieldError("Idempotency-Key", "must be 1 to 255 visible ASCII characters", idempotency_key)
            ],
        )
    caller = await authenticated(request)
    query = request.scope["query_string"].decode("latin-1")
    route = f"{request.method} {request.url.path}" + (f"?{query}" if query else "")
    return KeyedRequest(idempotency_key, caller.id, route, await request.body(), clock)


Idempotency = Annotated[KeyedRequest, Depends(_keyed)]


async def forget_old_keys(tx: Tx, now: datetime) -> int:
    """Delete the answers that are no longer replayed; says how many."""
    deleted: str = await tx.execute(_FORGET, now - KEPT_FOR)
    return int(deleted.removeprefix("DELETE "))
