"""`python -m scoring.care fit|list|serve|report`: care of the model from the command line.

Reads the service's settings from the environment, as the service does. Exit codes: 0 done, 1 refused or not
there, 2 wrong use.
"""

import argparse
import sys

from scoring.app import SERVICE
from scoring.care import store
from scoring.care.handlers import count, decide, make, serve_again
from scoring.settings import ScoringSettings
from shared.cli import command_line_actor, on_database, settings_of
from shared.clock import Clock
from shared.db import Database


async def fit(db: Database, settings: ScoringSettings, _arguments: argparse.Namespace) -> int:
    """Fit a model, and serve it from when it is fitted on, unless it is worse than the one served."""
    clock = Clock()
    async with store.alone(db):
        made = await make(db, settings, clock.now())
        async with db.tx() as tx:
            await decide(tx, made, clock.now())
    count(made)
    outcome = "served" if made.judgement.published else "refused"
    print(f"model {made.model.version} {outcome}: {made.judgement.why}")
    return 0 if made.judgement.published else 1


async def _list(db: Database, _settings: ScoringSettings, _arguments: argparse.Namespace) -> int:
    async with db.read() as tx:
        found = await store.list_attempts(tx, store.NEWEST, 100)
    for attempt in found:
        at = attempt.model.fitted_at
        print(f"{attempt.model.version}\t{attempt.state}\t{at.isoformat() if at else '-'}\t{attempt.why}")
    return 0


async def _serve(db: Database, _settings: ScoringSettings, arguments: argparse.Namespace) -> int:
    async with db.tx() as tx:
        attempt = await serve_again(
            tx, arguments.version, Clock().now(), command_line_actor(), arguments.reason
        )
    print(f"model {attempt.model.version} is served")
    return 0


async def _report(db: Database, _settings: ScoringSettings, arguments: argparse.Namespace) -> int:
    async with db.read() as tx:
        print(await store.get_report(tx, arguments.version))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scoring.care", description="Care of the model")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for word, run, help_ in (
        ("fit", fit, "fit a model, and serve it unless it is worse than the one served"),
        ("list", _list, "the last models, and what became of them"),
        ("serve", _serve, "go back to a model that was served before"),
        ("report", _report, "the page about a model, to standard output"),
    ):
        command = commands.add_parser(word, help=help_, description=help_)
        command.set_defaults(run=run)
        if word in ("serve", "report"):
            command.add_argument("version", type=int)
        if word == "serve":
            command.add_argument("--reason", required=True, help="kept with the decision")
    return parser.parse_args()


def main() -> int:
    """Run one command."""
    arguments, settings = _arguments(), settings_of(SERVICE)

    async def run(db: Database) -> int:
        code: int = await arguments.run(db, settings, arguments)
        return code

    return on_database(settings.database_url, run, size=3)


if __name__ == "__main__":
    sys.exit(main())
