"""`python -m stack` as a user meets it: with real servers, and with stand-ins for the services."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stack import fleet, ports
from stack.process import is_alive, tree, until
from stack.servers import BOOTSTRAP_VARIABLE, DATABASES, KAFKA_PORT, POSTGRES_PORT, database_variable

STAND_IN = """
import http.server, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

if sys.argv[1] == "migrate":
    print("migrated")
else:
    print("listening", flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Answer).serve_forever()
"""

OFFSET = 11000  # away from a run on the same machine
NOT_INHERITED = {BOOTSTRAP_VARIABLE, *map(database_variable, DATABASES)}


class Run:
    """One `python -m stack …` and what it has printed so far."""

    def __init__(self, directory: Path, stand_ins: Path, output: Path, *command: str) -> None:
        self._output = output
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        with output.open("wb") as file:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "stack", "--directory", str(directory), *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=inherited | {"PORT_OFFSET": str(OFFSET), "PYTHONPATH": str(stand_ins)},
            )

    async def says(self, text: str, *, within: float = 60) -> None:
        await until(lambda: text in self.said() or self.child.poll() is not None, within=within)
        assert text in self.said(), self.said()

    async def ends(self, *, within: float = 30) -> int:
        assert await until(lambda: self.child.poll() is not None, within=within), self.said()
        return self.child.wait()

    def said(self) -> str:
        return self._output.read_text(errors="replace")


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages with the names of the services that do nothing but say they are ready."""
    found = tmp_path_factory.mktemp("stand_ins")
    for service in fleet.SERVICES:
        (found / service.package).mkdir()
        (found / service.package / "__init__.py").touch()
        (found / service.package / "__main__.py").write_text(STAND_IN)
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, stand_ins: Path) -> Iterator[Path]:
    """One `.local` for all tests here, so that only the first start makes the databases."""
    found = tmp_path_factory.mktemp("stack") / "local"
    yield found
    Run(found, stand_ins, found.with_name("clean.out"), "clean").child.wait()
    assert not found.exists()


@pytest.fixture
def start(directory: Path, stand_ins: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a run; whatever happens, none outlives its test."""
    runs: list[Run] = []

    def run(*command: str) -> Run:
        runs.append(Run(directory, stand_ins, tmp_path / f"{len(runs)}.out", *command))
        return runs[-1]

    yield run
    for left in runs:
        if left.child.poll() is None:
            left.child.kill()
            left.child.wait()


def port_of(process: str) -> int:
    return fleet.default_ports(OFFSET)[process]


def pid_at(port: int) -> int:
    """The process listening on the port."""
    holder = ports.holder_of(port)
    assert holder is not None
    return int(holder.split()[1])


async def test_nothing_is_left_behind_by_a_run_that_is_killed(start: Start) -> None:
    run = start("backing")
    await run.says("KAFKA_BOOTSTRAP_SERVERS=")
    family = tree(run.child.pid)
    assert len(family) > 5  # PostgreSQL has several processes
    run.child.kill()
    assert await until(lambda: not any(is_alive(pid) for pid in family), within=10)
    assert ports.is_free(POSTGRES_PORT + OFFSET)
    assert ports.is_free(KAFKA_PORT + OFFSET)


async def test_everything_starts_restarts_what_dies_and_stops_in_time(start: Start) -> None:
    run = start("up")
    await run.says("Ctrl-C stops everything")
    async with httpx.AsyncClient() as client:
        for port in fleet.default_ports(OFFSET).values():
            assert (await client.get(f"http://{ports.HOST}:{port}/health/ready")).status_code == 200

    second = start("up")
    assert await second.ends() == 1
    assert f"already running here, as process {run.child.pid}" in second.said()
    cleaning = start("clean")
    assert await cleaning.ends() == 1
    assert "already running here" in cleaning.said()

    first_pid = pid_at(port_of("orders.worker"))
    os.kill(first_pid, signal.SIGKILL)
    await run.says("orders.worker ended unexpectedly (code -9); starting it again")
    assert await until(lambda: not ports.is_free(port_of("orders.worker")), within=10)
    assert pid_at(port_of("orders.worker")) != first_pid

    family = tree(run.child.pid)
    run.child.send_signal(signal.SIGINT)
    assert await run.ends(within=10) == 0
    assert not any(is_alive(pid) for pid in family)


async def test_the_end_of_postgresql_is_the_end_of_the_run(start: Start) -> None:
    run = start("up")
    await run.says("Ctrl-C stops everything")
    family = tree(run.child.pid)
    os.kill(pid_at(POSTGRES_PORT + OFFSET), signal.SIGQUIT)
    assert await run.ends() == 1
    assert "postgres ended unexpectedly" in run.said()
    assert "immediate shutdown" in run.said()  # its own last lines
    assert not any(is_alive(pid) for pid in family)


async def test_a_taken_port_ends_the_start_with_what_to_do(start: Start) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((ports.HOST, KAFKA_PORT + OFFSET))
        taken.listen()
        run = start("backing")
        assert await run.ends() == 1
    assert f"Port {KAFKA_PORT + OFFSET}, which kafka needs, is taken by pid {os.getpid()}" in run.said()
    assert "Traceback" not in run.said()
    assert ports.is_free(POSTGRES_PORT + OFFSET)


async def test_migrations_that_fail_are_told_with_their_last_lines(start: Start, stand_ins: Path) -> None:
    broken = stand_ins / "scoring" / "__main__.py"
    broken.write_text("raise SystemExit('relation does not exist')")
    run = start("up")
    assert await run.ends(within=60) == 1
    assert "The migrations of scoring failed" in run.said()
    assert "relation does not exist" in run.said()
