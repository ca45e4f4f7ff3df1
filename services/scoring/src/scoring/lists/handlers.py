"""Lists of scores, from columns that this process keeps true by asking for what has changed."""

import asyncio
import time
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from scoring.lists import store
from scoring.lists.domain import Columns, Found, Wanted
from shared.db import Database
from shared.errors import Unavailable


class Listing(NamedTuple):
    """A page, and the instant as of which its figures hold, but for what is not noticeable."""

    found: Found
    as_of: datetime


class Everybody:
    """Everybody's figures; read whole before the process is ready, then at each list what has changed."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._columns = Columns()
        self._seen = 0
        self._run: UUID | None = None
        self._asked = 0.0  # when what has changed was last asked for
        self._next_due: datetime | None = None
        self._alone = asyncio.Lock()
        self._first: asyncio.Task[None] | None = None

    async def page(self, wanted: Wanted, after: tuple[Any, ...] | None, limit: int, now: datetime) -> Listing:
        """A page of the list as it is now; `after` the value and id of the last row before it."""
        # In a task of its own: a caller who goes away must not leave the columns half changed.
        return await asyncio.shield(asyncio.create_task(self._page(wanted, after, limit, now)))

    async def _page(
        self, wanted: Wanted, after: tuple[Any, ...] | None, limit: int, now: datetime
    ) -> Listing:
        arrived = time.monotonic()
        async with self._alone:
            if self._asked <= arrived:  # else it was, for another page, while this one waited
                await self._catch_up()
            found = await asyncio.to_thread(self._columns.page, wanted, after, limit)
            return Listing(found, min(now, self._next_due or now))

    async def _catch_up(self) -> None:
        """Read what has changed, and when the next customer is due."""
        asked = time.monotonic()
        async with self._db.read() as tx:
            reached = await store.reached(tx)
            if reached.run != self._run or reached.all_before < self._seen:
                # PostgreSQL has crashed, or a backup was put back: what is new may have old numbers.
                self._columns, self._seen, self._run = Columns(), 0, reached.run
            changed = await store.changed(tx, self._seen)
        if changed.size:
            await asyncio.to_thread(self._columns.take_in, changed)
        self._seen, self._next_due, self._asked = reached.all_before, reached.next_due, asked

    async def ready(self) -> None:
        """Begin to read everybody's figures, if nobody has; raises `Unavailable` until that is done."""
        if self._first is None or (self._first.done() and self._first.exception()):
            self._first = asyncio.create_task(self._load())
        await asyncio.wait({self._first}, timeout=1)
        if not self._first.done() or self._first.exception():
            raise Unavailable("The figures that lists show are being read.", headers={"Retry-After": "1"})

    async def _load(self) -> None:
        async with self._alone:
            await self._catch_up()
