"""The public keys of the token issuer, fetched when needed, and again when a token names an unknown one."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import jwt
import structlog

from shared.errors import Unavailable

ALGORITHMS = ("EdDSA", "RS256", "ES256")
"""What tokens may be signed with: public keys only, never `none` or a shared secret."""

_FRESH_SECONDS = 600.0
_BETWEEN_FETCHES_SECONDS = 10.0
_BEFORE_THE_FIRST_SECONDS = 1.0

log = structlog.stdlib.get_logger(__name__)


class IssuerKeys:
    """The issuer's key set."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._published: Any = None
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None
        self.generation = 0
        """Grows when the set changes, so that what an old key vouched for is looked at again."""

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id; without an id, the only key there is."""
        key = self._get(key_id)
        if key is None:
            async with self._lock:  # those who come during a fetch wait for it
                key = self._get(key_id)
                if key is None and self._may_fetch():
                    await self._fetch()
                    key = self._get(key_id)
        if not self._keys:
            raise Unavailable(
                "The keys of the token issuer cannot be read; try again shortly.",
                headers={"Retry-After": "1"},
            )
        return key

    def refresh(self) -> None:
        """Have an old set fetched again meanwhile, so that a key withdrawn is no longer believed."""
        old = time.monotonic() - self._fetched_at > _FRESH_SECONDS
        if old and self._keys and self._may_fetch() and (self._refresh is None or self._refresh.done()):
            self._refresh = asyncio.create_task(self._fetch())

    def _get(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _may_fetch(self) -> bool:
        pause = _BETWEEN_FETCHES_SECONDS if self._keys else _BEFORE_THE_FIRST_SECONDS
        return time.monotonic() - self._tried_at > pause

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            published = await _read(self._url)
            keys = _usable(published)
        except (httpx.HTTPError, OSError, ValueError, TypeError) as error:
            log.warning("issuer keys unreadable", url=self._url, error=str(error))
            return
        self._fetched_at = time.monotonic()
        if published != self._published:
            self._published, self._keys = published, keys
            self.generation += 1


async def _read(url: str) -> Any:
    if url.startswith("file://"):
        return json.loads(await asyncio.to_thread(Path(unquote(urlsplit(url).path)).read_bytes))
    async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
        response = await client.get(url)
        response.raise_for_status()
        return response.json()


def _usable(key_set: Any) -> dict[str | None, jwt.PyJWK]:
    keys: dict[str | None, jwt.PyJWK] = {}
    for entry in key_set["keys"] if isinstance(key_set, dict) and "keys" in key_set else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK.from_dict(entry)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # a key of a kind that is not for us
        if key.algorithm_name in ALGORITHMS:
            keys[entry.get("kid")] = key
    if not keys:
        raise ValueError(f"no key for {', '.join(ALGORITHMS)} in the key set")
    return keys
