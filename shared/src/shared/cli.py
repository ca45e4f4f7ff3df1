"""The commands of every service: `python -m <package> COMMAND`; `--help` lists them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
import msgspec
import structlog
import uvicorn
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from shared import telemetry
from shared.bus import gaps, parking
from shared.bus.inbox import Inbox
from shared.db import Database, Tx
from shared.errors import Refused
from shared.garbage import collect_seldom
from shared.service import S, Service, api, run_worker

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger()

PATIENCE_SECONDS = 3


def main(service: Service[S], argv: list[str] | None = None) -> int:
    """Run one command; answers the process's exit code."""
    arguments = _parser(service.name).parse_args(argv)
    settings = settings_of(service)
    telemetry.start(service.name, settings.log_format)
    return int(arguments.run(service, settings, arguments) or 0)


def settings_of(service: Service[S]) -> S:
    """What the environment says; where that is wrong, it is said, and the process ends with 2."""
    try:
        return service.settings()
    except ValidationError as problem:
        for error in problem.errors():
            print(f"{str(error['loc'][0]).upper()}: {error['msg']}", file=sys.stderr)
        print(f"Set these in the environment of the {service.name} service.", file=sys.stderr)
        raise SystemExit(2) from None


def on_database(url: str, act: Callable[[Database], Awaitable[int]], *, size: int = 1) -> int:
    """Run a command that needs the database; 1 where that cannot be reached, or the command is refused."""

    async def run() -> int:
        try:
            db = await Database.open(url, size=size)
        except (OSError, asyncpg.PostgresError) as problem:
            print(f"the database cannot be reached: {problem}", file=sys.stderr)
            return 1
        try:
            return await act(db)
        except Refused as refused:
            print(str(refused), file=sys.stderr)
            return 1
        finally:
            await db.close()

    return asyncio.run(run())


def command_line_actor() -> str:
    """Who decides by a command, as it is kept with the decision."""
    return f"{getpass.getuser()} (command line)"


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=f"Patron's {name} service")
    commands = parser.add_subparsers(required=True)

    def add(word: str, help_: str, run: Callable[..., int | None]) -> argparse.ArgumentParser:
        found = commands.add_parser(word, help=help_)
        found.set_defaults(run=run)
        return found

    for word, help_, run in (
        ("api", "answer HTTP requests", _api),
        ("worker", "send and consume events; health and metrics on the port", _worker),
    ):
        serve = add(word, help_, run)
        serve.add_argument("--host", default="127.0.0.1")
        serve.add_argument("--port", type=int, default=8000)
    add("migrate", "bring the database's tables up to date", _migrate)
    add("check-migrations", "fail when the models say something else than the migrations", _check_migrations)
    offsets = add(
        "offsets", "after a log was truncated or recreated: read a partition on from here", _offsets
    )
    offsets.add_argument("topic")
    offsets.add_argument("partition", type=int)
    offsets.add_argument("next_offset", type=int)
    held = add("held", "events that wait for one before them, which even its publisher may not have", _held)
    held.add_argument("action", choices=["list", "skip"])
    held.add_argument("topic", nargs="?")
    held.add_argument("key", nargs="?")
    held.add_argument("--reason", default="")
    parked = add("parked", "events that could not be applied", _parked)
    parked.add_argument("action", choices=["list", "show", "retry", "edit", "discard"])
    parked.add_argument("id", type=_parked_id, nargs="?")
    parked.add_argument("--all", action="store_true", help="retry: whatever is parked now, once each")
    parked.add_argument("--reason", default="")
    parked.add_argument("--headers", type=_headers, help="edit: the CloudEvents headers as JSON")
    parked.add_argument("--data", help="edit: the event's data as JSON")
    return parser


def _parked_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text} is not an id that `parked list` shows")
    return int(text)


def _headers(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as problem:
        raise argparse.ArgumentTypeError(f"must be a JSON object of texts: {problem}") from problem


def _api(service: Service[S], settings: S, arguments: argparse.Namespace) -> None:
    collect_seldom()
    uvicorn.Server(_uvicorn(api(service, settings), arguments)).run()


def _worker(service: Service[S], settings: S, arguments: argparse.Namespace) -> int:
    async def work() -> int:
        worker = asyncio.create_task(run_worker(service, settings))
        probe = _Probe(_uvicorn(build_probe(worker, settings.database_url), arguments))
        serving = asyncio.create_task(probe.serve())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.cancel)
        await asyncio.wait({worker, serving}, return_when=asyncio.FIRST_COMPLETED)
        probe.should_exit = True
        worker.cancel()  # when the probe ended first: its port is taken
        stopped = await asyncio.gather(worker, serving, return_exceptions=True)
        failures = [f for f in stopped if f is not None and not isinstance(f, asyncio.CancelledError)]
        for failure in failures:
            log.critical("worker stopped", problem=repr(failure))
        return 1 if failures else 0

    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


class _Probe(uvicorn.Server):
    """Serves beside the worker, and leaves signals to it: it has to leave its consumer group in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_probe(worker: asyncio.Task[None], database_url: str) -> Starlette:
    """The worker's own small HTTP side: whether it lives, can reach its database, and what it has counted."""

    async def live(_request: Request) -> Response:
        return Response("stopped" if worker.done() else "working", 503 if worker.done() else 200)

    async def ready(request: Request) -> Response:
        try:
            connection = await asyncpg.connect(database_url, timeout=PATIENCE_SECONDS)
            await connection.close(timeout=PATIENCE_SECONDS)
        except (OSError, TimeoutError, asyncpg.PostgresError) as problem:
            log.warning("not ready", problem=repr(problem))
            return Response("the database cannot be reached; see the log", 503)
        return await live(request)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)]
    )


def _uvicorn(app: ASGIApp, arguments: argparse.Namespace) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
    )


def _migrate(service: Service[S], settings: S, _arguments: argparse.Namespace) -> None:
    from alembic import command  # here: api and worker start half a second sooner without it

    command.upgrade(_alembic(service, settings), "head")


def _check_migrations(service: Service[S], settings: S, _arguments: argparse.Namespace) -> int:
    from alembic import command
    from alembic.util.exc import AutogenerateDiffsDetected

    try:
        command.check(_alembic(service, settings))
    except AutogenerateDiffsDetected as difference:
        print(f"{service.name}: {difference}", file=sys.stderr)
        return 1
    return 0


def _alembic(service: Service[S], settings: S) -> Config:
    from alembic.config import Config

    config = Config(attributes={"database_url": settings.database_url})
    config.set_main_option("script_location", str(service.migrations))
    return config


def _offsets(service: Service[S], settings: S, arguments: argparse.Namespace) -> int:
    async def accept(tx: Tx, _inbox: Inbox) -> None:
        moved = await tx.execute(
            "UPDATE consumer_offset SET next_offset = $4, fingerprint = NULL, epoch = epoch + 1"
            " WHERE group_id = $1 AND topic = $2 AND partition = $3",
            service.name, arguments.topic, arguments.partition, arguments.next_offset,
        )  # fmt: skip
        print(moved)

    return _in_transaction(service, settings, accept)


def _held(service: Service[S], settings: S, arguments: argparse.Namespace) -> int:
    async def act(tx: Tx, inbox: Inbox) -> None:
        if arguments.action == "list":
            for gap in await gaps.list_gaps(tx):
                missing = f"{gap.last_seq + 1}-{gap.next_held - 1} missing"
                print(f"{gap.topic}\t{gap.key}\t{missing}\t{gap.held} held since {gap.since:%Y-%m-%dT%H:%MZ}")
            return
        why = {"actor": command_line_actor(), "reason": arguments.reason}
        print(await gaps.skip_gap(tx, inbox, arguments.topic, arguments.key, **why))

    if arguments.action == "skip" and not (arguments.key and arguments.reason):
        print("held skip needs the topic and the key that `held list` shows, and --reason", file=sys.stderr)
        return 2
    return _in_transaction(service, settings, act)


def _parked(service: Service[S], settings: S, arguments: argparse.Namespace) -> int:
    async def act(tx: Tx, inbox: Inbox) -> None:
        if arguments.action == "list":
            for event in await parking.list_parked(tx, limit=200):
                print(
                    f"{event.id}\t{event.state}\t{event.topic}\t{event.key}\t{event.seq}\t{event.error or ''}"
                )
            return
        if arguments.action == "show":
            found = await parking.get(tx, arguments.id)
            print(json.dumps(found.model_dump(), default=_text, indent=2, ensure_ascii=False))
            return
        why = {"actor": command_line_actor(), "reason": arguments.reason}
        if arguments.action == "retry":
            left = await parking.retry(tx, inbox, arguments.id, **why)
        elif arguments.action == "discard":
            left = await parking.discard(tx, inbox, arguments.id, **why)
        else:
            headers, data = arguments.headers, arguments.data.encode("utf-8", "surrogateescape")
            left = await parking.edit(tx, inbox, arguments.id, headers=headers, value=data, **why)
        for event in left:
            print(f"still parked: {event.id}\t{event.state}\t{event.error or ''}")
        print(f"{len(left)} still parked for its key")

    problem = _incomplete(arguments)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    if arguments.all:
        return _retry_all(service, settings, command_line_actor(), arguments.reason)
    return _in_transaction(service, settings, act)


def _incomplete(arguments: argparse.Namespace) -> str | None:
    """What `parked` needs besides what it was given."""
    if arguments.all and (arguments.action != "retry" or arguments.id is not None):
        return "--all goes with retry, and without an id"
    if arguments.action != "list" and arguments.id is None and not arguments.all:
        return f"parked {arguments.action} needs the id that `parked list` shows"
    if arguments.action in ("retry", "edit", "discard") and not arguments.reason:
        return "say why with --reason: it is kept with the event"
    if arguments.action == "edit" and not (arguments.headers and arguments.data):
        return "edit needs --headers and --data, both JSON"
    return None


def _retry_all(service: Service[S], settings: S, actor: str, reason: str) -> int:
    async def run(db: Database) -> int:
        done = still = 0
        inbox = Inbox(service.handlers(settings))
        async for retried in parking.retry_all(db, inbox, actor=actor, reason=reason):
            done, still = done + 1, still + bool(retried.left or retried.problem)
            if retried.problem:
                print(
                    f"still parked: {retried.id}\tnot possible just now, retry it again: {retried.problem!r}"
                )
            elif retried.left:
                print(f"still parked: {retried.left[0].id}\t{retried.left[0].error or ''}")
            if done % 100 == 0:
                print(f"{done} retried so far", file=sys.stderr)
        print(f"{done} retried, {still} of them still parked")
        return 1 if still else 0

    return on_database(settings.database_url, run)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _in_transaction(service: Service[S], settings: S, act: Callable[[Tx, Inbox], Awaitable[None]]) -> int:
    async def run(db: Database) -> int:
        async with db.tx() as tx:
            await act(tx, Inbox(service.handlers(settings)))
        return 0

    return on_database(settings.database_url, run)
