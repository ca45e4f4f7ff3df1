"""Reading one's own writes: wait until the events that a reader knows of have been counted."""

import asyncio
import time

from scoring.serving import store
from shared.db import Database
from shared.web.sync import Sync, SyncToken

FIRST_LOOK_SECONDS = 0.01
LONGEST_LOOK_SECONDS = 0.1
"""Looks become rarer the longer it takes: many who wait must not slow down what they wait for."""
FOLLOWED = frozenset({"customer", "orders", "service_desk"})


async def wait_for(db: Database, sync: Sync) -> dict[str, str]:
    """Wait as long as the reader wants to; answers the headers that say what is still missing.

    Tokens of services that nothing is counted from do not matter here.
    """
    wanted = [_followed(token) for token in sync.tokens if _service(token) in FOLLOWED]
    until = time.monotonic() + sync.wait
    pause = FIRST_LOOK_SECONDS
    while wanted:
        async with db.read() as tx:  # given back while waiting
            reached = await store.progress(tx, [(f"patron.{t.service}", t.key) for t in wanted])
        behind = [(token, seq) for token, seq in zip(wanted, reached, strict=True) if seq < token.seq]
        if not behind:
            break
        if time.monotonic() >= until:
            return {
                "Sync-Behind": ", ".join(f"{t.service}:{t.key}={seq}; wanted={t.seq}" for t, seq in behind)
            }
        await asyncio.sleep(pause)
        pause = min(1.3 * pause, LONGEST_LOOK_SECONDS)
    return {}


def _service(token: SyncToken) -> str:
    return token.service.replace("-", "_")


def _followed(token: SyncToken) -> SyncToken:
    return token._replace(service=_service(token))
