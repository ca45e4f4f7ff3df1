"""Lists of scores, from columns that this process keeps true by asking for what has changed."""

import asyncio
from datetime import datetime
from typing import Any, NamedTuple

from scoring.lists import store
from scoring.lists.domain import Columns, Found, Wanted
from shared.db import Database


class Listing(NamedTuple):
    """A page, and the instant as of which its figures hold, but for what is not noticeable."""

    found: Found
    as_of: datetime


class Everybody:
    """Everybody's figures; read whole for the first list, then only what has changed since the last."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._columns = Columns()
        self._seen = 0
        self._alone = asyncio.Lock()

    async def page(self, wanted: Wanted, after: tuple[Any, ...] | None, limit: int, now: datetime) -> Listing:
        """A page of the list as it is now; `after` the value and id of the last row before it."""
        # In a task of its own: a caller who goes away must not leave the columns half changed.
        return await asyncio.shield(asyncio.create_task(self._page(wanted, after, limit, now)))

    async def _page(
        self, wanted: Wanted, after: tuple[Any, ...] | None, limit: int, now: datetime
    ) -> Listing:
        async with self._alone:
            async with self._db.read() as tx:
                reached = await store.reached(tx)
                if reached.all_before < self._seen:  # a backup was put back
                    self._columns, self._seen = Columns(), 0
                changed = await store.changed(tx, self._seen)
            found = await asyncio.to_thread(self._look, changed, wanted, after, limit)
            self._seen = reached.all_before
        return Listing(found, min(now, reached.next_due or now))

    def _look(self, changed: Any, wanted: Wanted, after: tuple[Any, ...] | None, limit: int) -> Found:
        if changed.size:
            self._columns.take_in(changed)
        return self._columns.page(wanted, after, limit)
