"""Faults by seed: processes killed or frozen, servers restarted, connections cut or stalled; and repairs."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stack.process import Process
from stack.trouble import Trouble
from tests.chaos.system import System

LONG_FREEZE = (16.0, 20.0)  # longer than lease (5 s), idle transaction (10 s) and session (10 s)
ONE_LONG_IN = 4
OVERLAPPING = 0.3
GAP = (0.5, 2.5)


class Kind(NamedTuple):
    """A way to do harm: to which processes or servers, and for how many seconds before the repair."""

    name: str
    targets: str
    """`api`, `worker`, or a server's name."""
    seconds: tuple[float, float]


KINDS = (
    Kind("kill api", "api", (0, 2)),
    Kind("kill worker", "worker", (0, 2)),
    Kind("freeze api", "api", (1, 8)),
    Kind("freeze worker", "worker", (1, 8)),
    Kind("kill api", "api", (0, 2)),
    Kind("kill worker", "worker", (0, 2)),
    Kind("kill postgres", "postgres", (0, 1)),
    Kind("quit postgres", "postgres", (0, 1)),
    Kind("restart postgres", "postgres", (0, 0)),
    Kind("cut postgres", "postgres", (0, 2)),
    Kind("stall postgres", "postgres", (1, 6)),
    Kind("kill kafka", "kafka", (0, 1)),
    Kind("restart kafka", "kafka", (0, 0)),
    Kind("cut kafka", "kafka", (0, 3)),
    Kind("stall kafka", "kafka", (1, 8)),
)


@dataclass
class Fault:
    """One fault: what is done to which target, for how long, and how long after its start the next begins."""

    kind: str
    target: str
    seconds: float
    next_after: float | None
    """None: once it is repaired."""
    repaired_at: float = 0.0


def schedule(seed: int, count: int, processes: Sequence[str]) -> list[Fault]:
    """The same faults for the same seed; every kind once before any comes again."""
    chance = random.Random(seed)
    found: list[Fault] = []
    deck: list[Kind] = []
    freezes = 0
    for _ in range(count):
        if not deck:
            deck = chance.sample(KINDS, len(KINDS))
        kind = deck.pop()
        target = kind.targets
        seconds = chance.uniform(*kind.seconds)
        if target in ("api", "worker"):
            target = chance.choice([name for name in processes if name.split(".")[1].startswith(target)])
        if kind.name.startswith("freeze"):
            freezes += 1
            seconds = chance.uniform(*LONG_FREEZE) if freezes % ONE_LONG_IN == 0 else seconds
        overlapping = chance.random() < OVERLAPPING
        found.append(Fault(kind.name, target, seconds, chance.uniform(*GAP) if overlapping else None))
    return found


class Chaos:
    """Does the harm and repairs it. A target is hit by one fault at a time."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._busy = {name: asyncio.Lock() for name in system.processes}
        self.deaths: list[str] = []
        """Processes that ended although nobody had killed them."""

    async def run(self, faults: Sequence[Fault], tell: Callable[[Fault], None]) -> None:
        """One fault after the other, some of them overlapping; returns when all is repaired."""
        async with asyncio.TaskGroup() as repairs:
            watch = repairs.create_task(self._watch())
            under_way: list[asyncio.Task[None]] = []
            for fault in faults:
                tell(fault)
                under_way.append(repairs.create_task(self._strike(fault)))
                await asyncio.wait(under_way, timeout=fault.next_after)
                await asyncio.sleep(random.Random(fault.seconds).uniform(*GAP))
            await asyncio.gather(*under_way)
            watch.cancel()

    async def _strike(self, fault: Fault) -> None:
        async with self._busy[fault.target]:
            repair = await self._harm(fault)
            await asyncio.sleep(fault.seconds)
            await repair()
            fault.repaired_at = time.monotonic()

    async def _harm(self, fault: Fault) -> Callable[[], Awaitable[None]]:
        """Do it; answers how it is repaired."""
        process = self._system.processes[fault.target]
        match fault.kind.split()[0]:
            case "kill":
                await process.kill()
            case "quit":
                os.kill(process.pid, signal.SIGQUIT)
                await _ended(process)
            case "restart":
                await process.stop()
            case "freeze":
                process.pause()
                return _done(process.resume)
            case "cut":
                self._system.proxies[fault.target].cut()
                return _done(self._system.proxies[fault.target].heal)
            case "stall":
                self._system.proxies[fault.target].stall()
                return _done(self._system.proxies[fault.target].heal)
            case other:
                raise ValueError(other)
        return lambda: _start(process)

    async def _watch(self) -> None:
        """As an orchestrator would: start again what ended by itself; noted, since nothing should."""
        while True:
            for name, process in self._system.processes.items():
                if not process.running and not self._busy[name].locked():
                    async with self._busy[name]:
                        self.deaths.append(f"{name} ended with code {process.exit_code}: {process.tail(5)}")
                        await _start(process)
            await asyncio.sleep(0.2)


async def _start(process: Process) -> None:
    """Start it, again and again while what it needs is away."""
    async with asyncio.timeout(120):
        while not process.running:
            try:
                await process.start()
            except Trouble:
                await asyncio.sleep(0.2)


async def _ended(process: Process) -> None:
    async with asyncio.timeout(20):
        while process.running:  # noqa: ASYNC110  (it happens in another process)
            await asyncio.sleep(0.02)


def _done(repair: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        repair()

    return run
