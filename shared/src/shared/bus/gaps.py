"""Gaps: when an event's predecessor does not come, it is fetched from the service that published it."""

import asyncio
from collections.abc import Mapping

import httpx
import msgspec
import structlog
from prometheus_client import Gauge

from shared.bus.inbox import Inbox, Incoming
from shared.bus.retry import is_transient
from shared.db import Database

log = structlog.get_logger()

PATIENCE_SECONDS = 60
LOOK_EVERY_SECONDS = 10

_held = Gauge("patron_events_held", "Events that wait for a predecessor")
_parked = Gauge("patron_events_parked", "Events that wait for a person, with those queued behind them")

_OPEN_GAPS = """
SELECT h.topic, h.key, coalesce(p.last_seq, 0) AS last_seq
FROM held_event h LEFT JOIN stream_progress p USING (topic, key)
WHERE NOT coalesce(p.parked, false)
GROUP BY h.topic, h.key, p.last_seq
HAVING min(h.held_at) < now() - make_interval(secs => $1) LIMIT 100
"""


class GapFiller:
    """Fetches what is missing from `GET /v1/events` of the publisher; one request per gap."""

    def __init__(
        self,
        db: Database,
        inbox: Inbox,
        http: httpx.AsyncClient,
        publishers: Mapping[str, str],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """`publishers`: the base URL of the service behind each topic, by the topic's second word."""
        self._db = db
        self._inbox = inbox
        self._http = http
        self._publishers = publishers
        self._patience = patience_seconds

    async def run(self) -> None:
        """Look for old gaps every ten seconds until cancelled."""
        while True:
            try:
                await self.fill()
            except Exception as problem:
                log.warning("gaps stay open for now", problem=repr(problem), expected=is_transient(problem))
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def fill(self) -> int:
        """Fetch and apply what closes the gaps that are older than the patience; answers how many events."""
        async with self._db.read() as connection:
            _held.set(await connection.fetchval("SELECT count(*) FROM held_event"))
            _parked.set(
                await connection.fetchval(
                    "SELECT count(*) FROM parked_event WHERE state IN ('parked', 'queued')"
                )
            )
            gaps = await connection.fetch(_OPEN_GAPS, self._patience)
        filled = 0
        for gap in gaps:
            publisher = self._publishers.get(gap["topic"].split(".")[1])
            if publisher is None:
                log.error("gap has no publisher to ask", topic=gap["topic"], key=gap["key"])
                continue
            answer = await self._http.get(
                f"{publisher}/v1/events",
                params={"topic": gap["topic"], "key": gap["key"], "after_seq": gap["last_seq"]},
            )
            answer.raise_for_status()
            missing = [
                self._inbox.read(Incoming(gap["topic"], item["headers"], msgspec.json.encode(item["data"])))
                for item in answer.json()["items"]
            ]
            if not missing:
                log.error("gap is older than the publisher keeps", topic=gap["topic"], key=gap["key"])
                continue
            async with self._db.tx() as tx:
                await self._inbox.take_in(tx, missing)
            filled += len(missing)
        return filled
