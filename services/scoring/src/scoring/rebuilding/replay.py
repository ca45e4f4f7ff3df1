"""`python -m scoring.rebuilding.replay`: fills the shadow from the log, until its standard input ends.

The replay has processes of its own: one is not fast enough, and the worker keeps its own for live events.
Reads DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS and CURRENCY.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from scoring.facts.handlers import handlers_in
from scoring.rebuilding import shadow
from shared import telemetry
from shared.bus.consumer import LANES, Consumer
from shared.db import Database
from shared.garbage import collect_seldom

PROCESSES = 2
"""They share the partitions. With more, PostgreSQL is the limit."""
END_WITHIN_SECONDS = 10.0
LOG_CHANGED = 3
"""The exit code of one that has found another log than the one it began with."""


@asynccontextmanager
async def replaying(
    database_url: str, bootstrap_servers: str, currency: str, log_format: str
) -> AsyncIterator[list[Process]]:
    """The processes, while they fill the shadow; they end with the block, and with us if we are killed."""
    told = {"DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "CURRENCY": currency}
    command = (sys.executable, "-m", "scoring.rebuilding.replay", log_format)
    processes = [
        await asyncio.create_subprocess_exec(*command, stdin=PIPE, env=os.environ | told)
        for _ in range(PROCESSES)
    ]
    try:
        yield processes
    finally:
        await asyncio.gather(*map(_end, processes))


async def _end(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_WITHIN_SECONDS)
    except TimeoutError:
        process.kill()


async def _replay(database_url: str, bootstrap_servers: str, currency: str) -> int:
    beside = await Database.open(database_url, size=LANES + 1, schema=shadow.SCHEMA)
    consumer = Consumer(beside, bootstrap_servers, shadow.SHADOW_GROUP, handlers_in(currency))
    reading, ending = asyncio.create_task(consumer.run()), asyncio.create_task(_end_of_input())
    await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
    stopped = reading.done()  # of itself it stops for nothing else
    for task in (reading, ending):
        task.cancel()
    await asyncio.gather(reading, ending, return_exceptions=True)
    return LOG_CHANGED if stopped else 0


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


if __name__ == "__main__":
    telemetry.start_logging("json" if sys.argv[1] == "json" else "text")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and whoever started us ends us
    os.nice(5)  # live events come first
    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = (os.environ[name] for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "CURRENCY"))
        sys.exit(runner.run(_replay(*told)))
