"""(e) Lists, and timers, of a million customers."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4

from rich.console import Group
from rich.table import Table

import stack
from scoring.bands import store
from scoring.bands.domain import Score
from scoring.care.domain import PUBLISHED
from shared.db import Database
from tests.bench import timers
from tests.bench.load import Connection, Measured, request
from tests.bench.million import seed
from tests.bench.world import World

REQUESTS = 40
READERS = 4
SORTS = ("-churn", "churn", "-loyalty", "-value", "value", "-band", "model_version")
FILTERS: dict[str, dict[str, object]] = {
    "everybody": {},
    "one band": {"band": "high"},
    "two bands": {"band": ["high", "critical"]},
    "churn from": {"churn_min": 0.8},
    "value from": {"value_min": 10_000},
    "at risk and valuable": {"churn_min": 0.5, "value_min": 10_000},
    "all ranges": {
        "churn_min": 0.2, "churn_max": 0.9, "loyalty_min": 20, "loyalty_max": 80, "value_min": 500,
    },
    "a model, a band": {"model_version": 0, "band": "critical"},
    "nobody": {"model_version": 7},
}  # fmt: skip


async def run(world: World) -> Group:
    """The API alone for the lists; then the worker's jobs, in this process."""
    scoring = next(s for s in stack.SERVICES if s.name == "scoring")
    url = world.backing.database_urls["scoring"]
    async with stack.services(world.directory, world.backing, which=[scoring], workers=0) as fleet:
        ids = await seed(url)
        api = fleet.processes["scoring.api"]
        await api.stop()
        await api.start()  # with a million customers
        lists = await _lists(fleet.urls["scoring"], world.token, url, ids, api.pid)
    return Group(lists, await timers.run(world, ids))


async def _lists(address: str, token: str, url: str, ids: list[UUID], process: int) -> Table:
    table = Table(
        "", "p50 ms", "p95 ms", "worst sort", "found",
        title=f"(e) GET /v1/scores at {len(ids):,} customers: {len(SORTS)} sorts, 50 rows and exact counts",
    )  # fmt: skip
    connection = await Connection.open(address)
    first = await _get(connection, token, {})
    table.add_row("the first list of a process", f"{first[0] * 1000:.0f}", "", "", f"{first[1]['total']:,}")
    together = Measured()
    for name, filters in FILTERS.items():
        by_sort = {sort: await _many(connection, token, {"sort": sort, **filters}) for sort in SORTS}
        of_filter = Measured(latencies=[at for found, _ in by_sort.values() for at in found.latencies])
        worst = max(by_sort, key=lambda sort: by_sort[sort][0].percentile(95))
        table.add_row(
            name, f"{of_filter.percentile(50):.1f}", f"{of_filter.percentile(95):.1f}",
            f"{worst} {by_sort[worst][0].percentile(95):.1f}", f"{by_sort[worst][1]:,}",
        )  # fmt: skip
        together.latencies += of_filter.latencies
    table.add_row("all of these", f"{together.percentile(50):.1f}", f"{together.percentile(95):.1f}", "", "")
    pages = await _deep(connection, token)
    table.add_row("page 2 to 41", f"{pages.percentile(50):.1f}", f"{pages.percentile(95):.1f}", "", "")
    for what, scored in (("", ids), (" new ones", [uuid4() for _ in range(1000 * REQUESTS)])):
        saving, listing = await _while_scoring(connection, token, url, scored)
        table.add_row(f"while 1,000{what} are scored before each", *_of(listing), "", "")
        table.add_row(f"saving 1,000{what}", *_of(saving), "", "")
    alone, beside, lists = await _single_scores(address, token, ids)
    table.add_row("a single score, alone", *_of(alone), "", "")
    table.add_row(
        f"the same while {READERS} read lists", *_of(beside), f"max {max(beside.latencies) * 1000:.0f}", ""
    )
    table.add_row("those lists", *_of(lists), "", "")
    table.add_row("memory of the process", f"{_memory(process):,.0f} MB", "", "", "")
    table.add_row("aim", "", "100", "", "")
    connection.close()
    return table


async def _many(connection: Connection, token: str, query: dict[str, object]) -> tuple[Measured, int]:
    """Pages of one kind, each the first or one that follows it."""
    measured, total, cursor = Measured(), 0, None
    for _ in range(REQUESTS):
        took, answer = await _get(connection, token, query | ({"cursor": cursor} if cursor else {}))
        measured.latencies.append(took)
        total, cursor = answer["total"], answer["next_cursor"] if cursor is None else None
    return measured, total


async def _deep(connection: Connection, token: str) -> Measured:
    measured, cursor = Measured(), (await _get(connection, token, {}))[1]["next_cursor"]
    for _ in range(REQUESTS):
        took, answer = await _get(connection, token, {"cursor": cursor})
        measured.latencies.append(took)
        cursor = answer["next_cursor"]
    return measured


async def _while_scoring(
    connection: Connection, token: str, url: str, ids: list[UUID]
) -> tuple[Measured, Measured]:
    saving, listing = Measured(), Measured()
    db = await Database.open(url, size=1)
    for turn in range(REQUESTS):
        some = sorted(ids[turn * 1000 : (turn + 1) * 1000])
        began = time.perf_counter()
        async with db.tx() as tx:
            scores = [Score(who, 0.5, "medium", 0.5, 1.0, 50.0, turn) for who in some]
            await store.save(tx, scores, PUBLISHED, datetime.now(UTC))
        saving.latencies.append(time.perf_counter() - began)
        listing.latencies.append((await _get(connection, token, {}))[0])
    await db.close()
    return saving, listing


async def _single_scores(address: str, token: str, ids: list[UUID]) -> tuple[Measured, Measured, Measured]:
    """Single scores, one after another: with nothing else, and while others read lists all the time."""
    alone, beside, lists = Measured(), Measured(), Measured()
    for measured in (alone, beside):
        done = asyncio.Event()
        readers = [
            asyncio.create_task(_read_lists(address, token, lists, done, number))
            for number in range(READERS if measured is beside else 0)
        ]
        connection = await Connection.open(address)
        for customer in ids[: 5 * REQUESTS]:
            began = time.perf_counter()
            status, _, _ = await connection.send(request("GET", f"/v1/scores/{customer}", token))
            measured.latencies.append(time.perf_counter() - began)
            assert status == 200
        connection.close()
        done.set()
        await asyncio.gather(*readers)
    return alone, beside, lists


async def _read_lists(address: str, token: str, measured: Measured, done: asyncio.Event, number: int) -> None:
    connection = await Connection.open(address)
    asked = [{"sort": sort, **filters} for filters in FILTERS.values() for sort in SORTS]
    while not done.is_set():
        number += READERS
        measured.latencies.append((await _get(connection, token, asked[number % len(asked)]))[0])
    connection.close()


def _memory(process: int) -> float:
    """MB that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def _get(connection: Connection, token: str, query: dict[str, object]) -> tuple[float, dict[str, int]]:
    path = "/v1/scores?" + urlencode(query, doseq=True)
    began = time.perf_counter()
    status, _, body = await connection.send(request("GET", path, token))
    took = time.perf_counter() - began
    assert status == 200, body[:300]
    return took, json.loads(body)


def _of(measured: Measured) -> tuple[str, str]:
    return f"{measured.percentile(50):.1f}", f"{measured.percentile(95):.1f}"
