"""Gaps: when an event's predecessor does not come, it is fetched from the service that published it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import httpx
import msgspec
import structlog
from prometheus_client import Gauge

from shared.bus.inbox import Inbox
from shared.bus.reading import Incoming
from shared.bus.retry import is_transient
from shared.db import Database, Tx
from shared.errors import Conflict, NotFound

log = structlog.get_logger()

PATIENCE_SECONDS = 60
LOOK_EVERY_SECONDS = 10

_held = Gauge("patron_events_held", "Events that wait for a predecessor")
_parked = Gauge("patron_events_parked", "Events that wait for a person, with those queued behind them")

_LIST = """
SELECT h.topic, h.key, coalesce(p.last_seq, 0) AS last_seq, min(h.seq) AS next_held, count(*) AS held,
       min(h.held_at) AS since
FROM held_event h LEFT JOIN stream_progress p USING (topic, key)
WHERE NOT coalesce(p.parked, false)
GROUP BY h.topic, h.key, p.last_seq ORDER BY since LIMIT $1
"""
_LOCK = "SELECT last_seq, parked FROM stream_progress WHERE topic = $1 AND key = $2 FOR UPDATE"
_FIRST_HELD = """
SELECT seq, headers, value FROM held_event WHERE topic = $1 AND key = $2 ORDER BY seq LIMIT 1
"""
_RECORD = """
INSERT INTO parked_event (topic, key, seq, headers, state, error, closed_at, actor, reason)
VALUES ($1, $2, $3, '{}', 'discarded', $4, now(), $5, $6)
"""
_OPEN_GAPS = """
SELECT h.topic, h.key, coalesce(p.last_seq, 0) AS last_seq
FROM held_event h LEFT JOIN stream_progress p USING (topic, key)
WHERE NOT coalesce(p.parked, false)
GROUP BY h.topic, h.key, p.last_seq
HAVING min(h.held_at) < now() - make_interval(secs => $1)
ORDER BY random() LIMIT 100  -- those that cannot be filled must not keep the others waiting
"""


class Gap(NamedTuple):
    """What a key waits for: the events after `last_seq` and before `next_held`."""

    topic: str
    key: str
    last_seq: int
    next_held: int
    held: int
    since: datetime


async def list_gaps(tx: Tx, limit: int = 200) -> list[Gap]:
    """Keys whose events wait for a predecessor, those that have waited longest first."""
    return [Gap(*r) for r in await tx.fetch(_LIST, limit)]


async def skip_gap(tx: Tx, inbox: Inbox, topic: str, key: str, *, actor: str, reason: str) -> str:
    """Give up what never came: the key goes on with what is held. Answers what was given up.

    For what even its publisher no longer has. Raises `NotFound` where nothing is held, `Conflict` where what
    is held waits for a parked event.
    """
    last_seq, parked = await tx.fetchrow(_LOCK, topic, key) or (0, False)
    held = await tx.fetchrow(_FIRST_HELD, topic, key)
    if held is None:
        raise NotFound(f"nothing is held for {key} on {topic}; `held list` shows what is")
    if parked:
        raise Conflict(f"{key} on {topic} waits for a parked event: first retry, edit or discard that")
    given_up = f"sequence {last_seq + 1} to {held['seq'] - 1} never came"
    await tx.execute(_RECORD, topic, key, last_seq + 1, given_up, actor, reason)
    await tx.execute(
        "UPDATE stream_progress SET last_seq = $3 WHERE topic = $1 AND key = $2", topic, key, held["seq"] - 1
    )
    headers = dict(msgspec.json.decode(held["headers"]))
    await inbox.take_in(tx, [inbox.read(Incoming(topic, headers, held["value"]))])
    return given_up


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
        away: set[str] = set()
        for topic, key, last_seq in gaps:
            if topic in away:
                continue
            try:
                filled += await self._fill(topic, key, last_seq)
            except Exception as problem:  # the other gaps may be filled all the same
                log.warning("gap stays open for now", topic=topic, key=key, problem=repr(problem))
                if isinstance(problem, httpx.TransportError):
                    away.add(topic)
        return filled

    async def _fill(self, topic: str, key: str, last_seq: int) -> int:
        publisher = self._publishers.get(topic.split(".")[1])
        if publisher is None:
            log.error("gap has no publisher to ask", topic=topic, key=key)
            return 0
        answer = await self._http.get(
            f"{publisher}/v1/events", params={"topic": topic, "key": key, "after_seq": last_seq}
        )
        answer.raise_for_status()
        found = [
            self._inbox.read(Incoming(topic, item["headers"], msgspec.json.encode(item["data"])))
            for item in answer.json()["items"]
        ]
        if not found or found[0].seq != last_seq + 1:
            log.error("gap is older than the publisher keeps", topic=topic, key=key, after_seq=last_seq)
            return 0
        async with self._db.tx() as tx:
            await self._inbox.take_in(tx, found)
        return len(found)
