"""`scoring`: the models on files, without a database.

Exit codes: 0 done, 1 a file is bad (every problem named), 2 wrong use, or a file that cannot be opened.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from scoring.analysis.problems import BadFile

COMMANDS = {
    "summarize": "purchases to one row per customer: x, t_x, T, mean_amount",
    "fit": "a model's parameters from such rows",
    "predict": "what to expect of each customer",
    "evaluate": "how good the models would have been: fit to the past, compare with what came",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = _parser(given).parse_args(given)
    except SystemExit as stop:  # argparse has told why
        return int(stop.code or 0)
    try:
        wrong = _misplaced(arguments)
        if wrong:
            print(wrong, file=sys.stderr)
            return 2
        code: int = _module(arguments.command).run(arguments)
        return code
    except BadFile as problems:
        print(problems, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _misplaced(arguments: argparse.Namespace) -> str | None:
    """Why a result cannot go where it shall, before minutes are spent on it; OSError where nothing can."""
    paths = {name: path for name, path in vars(arguments).items() if isinstance(path, Path)}
    for result in ("output", "report"):
        path = paths.pop(result, None)
        if path is None or path.is_relative_to("/dev"):
            continue
        for name, other in paths.items():
            if path.resolve() == other.resolve():
                return f"--{result} {path}: is the file of --{name} too, which would be lost; name another"
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not path.resolve().parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return None


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scoring", description="Customer models on files: CSV in, CSV and JSON out."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        if name in given:  # the others need not be imported
            _module(name).add_arguments(command)
    return parser


def _module(command: str) -> ModuleType:
    return import_module(f"scoring.analysis.{command}")
