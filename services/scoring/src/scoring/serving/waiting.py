"""Reading one's own writes: wait until the events that a reader knows of have been counted."""

import asyncio
import time
from dataclasses import dataclass

from scoring.serving import store
from shared.db import Database
from shared.web.sync import Sync, SyncToken

LOOK_EVERY_SECONDS = 0.01
FOLLOWED = frozenset({"customer", "orders", "service_desk"})


@dataclass(slots=True, eq=False)
class _Reader:
    wanted: list[SyncToken]
    until: float
    behind: asyncio.Future[list[tuple[SyncToken, int]]]
    """What has not come in time, with how far each stream had come."""


class Arrivals:
    """Lets readers wait for events; one look at the database serves all who wait at that moment."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._readers: set[_Reader] = set()
        self._looking: asyncio.Task[None] | None = None

    async def wait_for(self, sync: Sync) -> dict[str, str]:
        """Wait as long as the reader wants to; answers the headers that say what is still missing.

        Tokens of services that nothing is counted from do not matter here.
        """
        wanted = [_followed(token) for token in sync.tokens if _service(token) in FOLLOWED]
        if not wanted:
            return {}
        until = time.monotonic() + sync.wait
        reader = _Reader(wanted, until, asyncio.get_running_loop().create_future())
        self._readers.add(reader)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            behind = await reader.behind
        finally:
            self._readers.discard(reader)
        if not behind:
            return {}
        return {"Sync-Behind": ", ".join(f"{t.service}:{t.key}={seq}; wanted={t.seq}" for t, seq in behind)}

    async def _look(self) -> None:
        """Look again and again while somebody waits."""
        while self._readers:
            looked_for = list({_stream(token) for reader in self._readers for token in reader.wanted})
            now = time.monotonic()
            try:
                async with self._db.read() as tx:
                    reached = dict(zip(looked_for, await store.progress(tx, looked_for), strict=True))
            except Exception as problem:
                for reader in self._readers:
                    _settle(reader, problem)
                return
            for reader in self._readers:
                progress = [(token, reached.get(_stream(token))) for token in reader.wanted]
                if any(seq is None for _, seq in progress):
                    continue  # came while we looked
                behind = [(token, seq) for token, seq in progress if seq is not None and seq < token.seq]
                if not behind or now >= reader.until:
                    _settle(reader, behind)
            await asyncio.sleep(LOOK_EVERY_SECONDS)


def _settle(reader: _Reader, found: list[tuple[SyncToken, int]] | Exception) -> None:
    if reader.behind.done():
        return
    if isinstance(found, Exception):
        reader.behind.set_exception(found)
    else:
        reader.behind.set_result(found)


def _service(token: SyncToken) -> str:
    return token.service.replace("-", "_")


def _followed(token: SyncToken) -> SyncToken:
    return token._replace(service=_service(token))


def _stream(token: SyncToken) -> tuple[str, str]:
    return f"patron.{token.service}", token.key
