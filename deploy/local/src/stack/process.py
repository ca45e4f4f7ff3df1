"""Child processes that cannot outlive us: started, awaited, stopped, killed, frozen.

The kernel ends a child when the *thread* that started it ends, so start children from the main thread.
A child writes straight to its log file: nobody has to read a pipe for it to go on.
"""

import asyncio
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stack import ports
from stack.trouble import Trouble

LAUNCHER = Path(__file__).with_name("launch.py")
KEEP_LOG_BYTES = 20_000_000


class User(NamedTuple):
    """Whom a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass
class Process:
    """One server process. `ready` raises until the process can really do its work."""

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], Awaitable[object]]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ports: Sequence[int] = ()
    user: User | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # what it gets when we die without stopping it
    before_start: Callable[[], Awaitable[None]] | None = None
    ready_within: float = 60.0
    stop_within: float = 3.0
    log_start: int = field(default=0, init=False)  # where its latest start is in the log
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int:
        """The process id of the running process."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended, however it may have ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; negative for a signal; None while it runs or when it never did."""
        return None if self._child is None else self._child.poll()

    async def start(self) -> None:
        """Start and wait until ready. Raises Trouble with the last lines when it does not come up."""
        if self.running:
            raise RuntimeError(f"{self.name} is already running")
        if self.before_start is not None:
            await self.before_start()
        for port in self.ports:
            ports.require_free(port, self.name)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            if log.tell() > KEEP_LOG_BYTES:
                log.truncate(0)
            self.log_start = log.seek(0, os.SEEK_END)
            self._child = _launch(self.command, log.fileno(), self.environment, self.user, self.death_signal)
        try:
            await self._until_ready()
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Ask it to end, and kill it when it has not within its limit."""
        if not self.running:
            return
        os.kill(self.pid, self.stop_signal)
        self.resume()
        if not await until(lambda: not self.running, within=self.stop_within):
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and everything it started; returns when all of it is gone."""
        if self._child is None or not self.running:
            return
        signal_all([self.pid], signal.SIGSTOP)  # so that it starts nothing while we look
        victims = tree(self.pid)
        signal_all(victims, signal.SIGKILL)
        self._child.wait()
        await until(lambda: not any(is_alive(pid) for pid in victims))

    def pause(self) -> None:
        """SIGSTOP to it and everything it started."""
        signal_all(tree(self.pid), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to it and everything it started."""
        signal_all(tree(self.pid), signal.SIGCONT)

    def tail(self, lines: int = 20) -> str:
        """The last lines it wrote since its latest start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self.log_start)
                text = log.read()[-20_000:].decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + self.ready_within
        while True:
            if not self.running:
                raise Trouble(f"{self.name} ended with code {self.exit_code} while starting. {self._lines()}")
            try:
                await asyncio.wait_for(self.ready(), timeout=5)
                return
            except Exception as error:
                not_yet = error
            if time.monotonic() > deadline:
                raise Trouble(
                    f"{self.name} was not ready within {self.ready_within:.0f} s "
                    f"({type(not_yet).__name__}: {not_yet}). {self._lines()}"
                )
            await asyncio.sleep(0.05)

    def _lines(self) -> str:
        return f"Its last lines, from {self.log}:\n{self.tail()}"


class Failed(Exception):
    """A command that ran to its end and did not succeed."""

    def __init__(self, code: int, output: str) -> None:
        super().__init__(f"exit code {code}\n{output}")
        self.code = code
        self.output = output


async def run_once(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    user: User | None = None,
    within: float = 120.0,
) -> str:
    """Run a command to its end and return what it printed; Failed when it ends badly or not in time."""
    with tempfile.TemporaryFile() as output:
        child = _launch(command, output.fileno(), environment or dict(os.environ), user, signal.SIGKILL)
        try:
            await until(lambda: child.poll() is not None, within=within)
        finally:
            if child.poll() is None:
                signal_all(tree(child.pid), signal.SIGKILL)
                child.wait()
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    if child.returncode != 0:
        raise Failed(child.returncode, text)
    return text


async def until(condition: Callable[[], bool], *, within: float = math.inf) -> bool:
    """Wait until the condition holds; False when it does not within that many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (stat := _stat(int(process.name))):
            children.setdefault(int(stat[1]), []).append(int(process.name))
    found = [pid]
    for parent in found:  # grows while we walk it
        found.extend(children.get(parent, ()))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs; one that ended and was not collected yet does not."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _launch(
    command: Sequence[str],
    output: int,
    environment: Mapping[str, str],
    user: User | None,
    death_signal: signal.Signals,
) -> subprocess.Popen[bytes]:
    who = f"{user.uid}:{user.gid}" if user else "-"
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(int(death_signal)), str(os.getpid()), who]
    return subprocess.Popen(
        [*launcher, *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd="/",
        start_new_session=True,  # Ctrl-C in the terminal is for us alone; we stop the children in order
    )
