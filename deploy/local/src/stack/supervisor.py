"""Everything on one machine, from the databases to the services, for as long as it is wanted."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from stack.fleet import default_ports, keys_of, services
from stack.local import only_one, require_space
from stack.logs import follow
from stack.process import Process, until
from stack.servers import KAFKA_PORT, POSTGRES_PORT, Backing, backing, first_of
from stack.trouble import Trouble

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # between restarts of a service that keeps dying
STEADY = 60.0  # having lived this long, it is restarted quickly again


@dataclass(frozen=True)
class Running:
    """The running system, for whoever uses it, such as the demonstration."""

    urls: Mapping[str, str]  # base address of the API, by service
    keys: Path
    console: Console


async def run(
    directory: Path, *, offset: int, console: Console, then: Callable[[Running], Awaitable[None]]
) -> None:
    """Start everything, do `then`, and keep it up until cancelled; Trouble when it cannot go on."""
    async with _servers(directory, offset, console) as servers, _one_error() as group:
        for process in servers.processes:
            group.create_task(_must_live(process))
        console.print("starting the services: migrations, then 4 APIs and 4 workers", style="dim")
        async with services(directory, servers, ports=default_ports(offset)) as fleet:
            console.print("all services are ready", style="dim")
            group.create_task(follow(fleet.processes.values(), console))
            async with asyncio.TaskGroup() as restarts:
                for process in fleet.processes.values():
                    restarts.create_task(_keep_up(process, console))
                await then(Running(fleet.urls, keys_of(directory), console))
                await asyncio.Event().wait()


async def run_backing(
    directory: Path, *, offset: int, console: Console, then: Callable[[Backing], Awaitable[None]]
) -> None:
    """The same with PostgreSQL and Kafka alone."""
    async with _servers(directory, offset, console) as servers, _one_error() as group:
        for process in servers.processes:
            group.create_task(_must_live(process))
        await then(servers)
        await asyncio.Event().wait()


@asynccontextmanager
async def _servers(directory: Path, offset: int, console: Console) -> AsyncIterator[Backing]:
    def say(line: str) -> None:
        console.print(line, style="dim", soft_wrap=True, highlight=False)

    with only_one(directory):
        require_space(directory)
        began = time.monotonic()
        say("starting PostgreSQL and Kafka")
        ports = POSTGRES_PORT + offset, KAFKA_PORT + offset
        async with backing(directory, *ports, existing=os.environ, say=say) as servers:
            say(f"PostgreSQL and Kafka are ready ({time.monotonic() - began:.1f} s)")
            yield servers


@asynccontextmanager
async def _one_error() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises one error instead of a group of them."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None


async def _must_live(process: Process) -> None:
    """Nothing works without this process: its end is the end of the run."""
    await until(lambda: not process.running)
    raise Trouble(
        f"{process.name} ended unexpectedly (code {process.exit_code}), so everything was stopped. "
        f"The data are kept; start again with make run. Its last lines, from {process.log}:\n{process.tail()}"
    )


async def _keep_up(process: Process, console: Console) -> None:
    """Start the process again whenever it dies, ever later while it keeps dying."""
    wait, began = FIRST_WAIT, time.monotonic()
    while True:
        await until(lambda: not process.running)
        if time.monotonic() - began > STEADY:
            wait = FIRST_WAIT
        console.print(
            f"{process.name} ended unexpectedly (code {process.exit_code}); starting it again in {wait:g} s. "
            f"Its last lines, from {process.log}:\n{process.tail(8)}",
            style="red",
            markup=False,
            highlight=False,
        )
        await asyncio.sleep(wait)
        wait, began = min(2 * wait, LONGEST_WAIT), time.monotonic()
        try:
            await process.start()
        except Trouble as trouble:
            console.print(str(trouble), style="red", markup=False, highlight=False)
