"""The log files of several processes as one coloured stream: `orders.api | …`."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from stack.process import KEEP_LOG_BYTES, Process

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")


class Follower:
    """Reads what was added to one log file, by whole lines."""

    def __init__(self, log: Path, start: int) -> None:
        self._log = log
        self._position = start

    def new_lines(self) -> list[str]:
        """The lines completed since the last call. Cuts the file off once it is too long to keep."""
        with self._log.open("rb") as log:
            log.seek(self._position)
            complete, newline, _ = log.read().rpartition(b"\n")
        self._position += len(complete) + len(newline)
        if self._position > KEEP_LOG_BYTES:
            with self._log.open("ab") as log:
                log.truncate(0)
            self._position = 0
        return complete.decode(errors="replace").splitlines()


async def follow(processes: Iterable[Process], console: Console) -> None:
    """Print every new line of the processes' logs, prefixed with their names, until cancelled."""
    followed = [(process.name, Follower(process.log, process.log_start)) for process in processes]
    width = max(len(name) for name, _ in followed)
    while True:
        for number, (name, follower) in enumerate(followed):
            for line in follower.new_lines():
                prefix = Text(f"{name:<{width}} | ", style=COLOURS[number % len(COLOURS)])
                console.print(prefix + Text.from_ansi(line), soft_wrap=True)
        await asyncio.sleep(0.1)
