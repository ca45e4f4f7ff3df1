"""Patron on one machine: `python -m stack run`, and the smaller commands beside it."""

import argparse
import asyncio
import importlib
import importlib.util
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from rich.console import Console

import stack
from shared.web.roles import CUSTOMER, ROLE_SCOPES
from shared.web.tokens import mint
from stack import migrations, postgres, rebuild, supervisor
from stack.fleet import default_ports
from stack.local import LOCAL, only_one
from stack.ports import HOST
from stack.trouble import Trouble

STOPPED_BY_SIGNAL = 128


def main() -> int:
    """Do one command; troubles are told in a paragraph, not in a traceback."""
    options = _parser().parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters of it reaches us as exceptions
    try:
        return int(options.do(options) or 0)
    except PermissionError as error:
        return _tell(
            f"This user may not use {error.filename}. Start Patron as the user who ran it here before, "
            "or have that user remove its data with make clean."
        )
    except Trouble as trouble:
        return _tell(str(trouble))


def _tell(message: str) -> int:
    console = Console(stderr=True)
    console.print(f"\n{message}\n", style="bold red", markup=False, highlight=False, soft_wrap=True)
    return 1


def _run(options: argparse.Namespace) -> int:
    return _until_stopped(supervisor.run(options.directory, offset=_offset(), console=Console(), then=_demo))


def _up(options: argparse.Namespace) -> int:
    return _until_stopped(
        supervisor.run(options.directory, offset=_offset(), console=Console(), then=_addresses)
    )


def _backing(options: argparse.Namespace) -> int:
    return _until_stopped(
        supervisor.run_backing(
            options.directory, offset=_offset(), console=Console(stderr=True), then=_exports
        )
    )


def _token(options: argparse.Namespace) -> None:
    if (options.role == CUSTOMER) != (options.customer_id is not None):
        raise Trouble("The role customer, and no other, needs --customer-id (make token: CUSTOMER_ID=…).")
    ttl = timedelta(seconds=options.ttl)
    keys = stack.keys_of(options.directory)
    print(mint(keys, role=options.role, sub=options.sub, customer_id=options.customer_id, ttl=ttl))


def _rebuild(options: argparse.Namespace) -> int:
    url = f"http://{HOST}:{default_ports(_offset())['scoring.api']}"
    return rebuild.main(options.directory, url, Console())


def _clean(options: argparse.Namespace) -> None:
    if options.directory.exists():
        with only_one(options.directory):
            postgres.remove(options.directory)
            shutil.rmtree(options.directory)


def _check_migrations(options: argparse.Namespace) -> None:
    directory = options.directory / "check"
    try:
        asyncio.run(migrations.check(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _demo(running: supervisor.Running) -> None:
    if importlib.util.find_spec("stack.demo") is None:
        await _addresses(running)
        return
    await importlib.import_module("stack.demo").main(running)


async def _addresses(running: supervisor.Running) -> None:
    for name, url in running.urls.items():
        running.console.print(f"{name:<13} {url}/docs", style="bold", highlight=False)
    running.console.print("A token: make token ROLE=manager. Ctrl-C stops everything.", highlight=False)


async def _exports(servers: stack.Backing) -> None:
    for name, value in servers.variables().items():
        print(f"export {name}={shlex.quote(value)}", flush=True)


def _until_stopped(work: Coroutine[object, object, None]) -> int:
    """Run until Ctrl-C or a signal ends it, in order; a second one does not wait for that."""
    received: list[int] = []

    async def whole() -> None:
        task = asyncio.ensure_future(work)

        def stop(number: int) -> None:
            if received:
                os._exit(STOPPED_BY_SIGNAL + number)  # the kernel ends our children
            received.append(number)
            print("\nstopping (once more to not wait)", file=sys.stderr, flush=True)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        await task

    try:
        asyncio.run(whole())
    except asyncio.CancelledError:
        return 0
    return 0


def _offset() -> int:
    text = os.environ.get("PORT_OFFSET") or "0"
    if not text.isdigit() or int(text) > 40000:
        raise Trouble(
            f"PORT_OFFSET is {text!r}; it should be a whole number such as 100, which is added to all ports."
        )
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    parser.add_argument("--directory", type=Path, default=LOCAL, help="where the data are (%(default)s)")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, do: Callable[[argparse.Namespace], object], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about)
        added.set_defaults(do=do)
        return added

    command("run", _run, "everything, with the demonstration")
    command("up", _up, "everything, without the demonstration")
    command("backing", _backing, "PostgreSQL and Kafka alone; prints what to export")
    command("check-migrations", _check_migrations, "compare the migrations of every service with its tables")
    command("clean", _clean, "remove the data of earlier runs")
    command("rebuild", _rebuild, "all of scoring again from the log, while it runs")
    token = command("token", _token, "a token for the local services")
    token.add_argument("--role", choices=tuple(ROLE_SCOPES), default="manager")
    token.add_argument("--sub", help="who the token says you are")
    token.add_argument("--customer-id", type=UUID, help="for the role customer")
    token.add_argument("--ttl", type=int, default=12 * 3600, help="seconds it is valid (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
