"""The directory `.local`: where it is, that there is room for it, and that one run alone uses it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.trouble import Trouble

ROOT = Path(__file__).resolve().parents[4]
LOCAL = ROOT / ".local"
NEEDED_BYTES = 1_000_000_000


def absolute(directory: Path) -> Path:
    """The same directory for a child, which does not start where we are."""
    return directory.resolve()


def require_space(directory: Path, needed: int = NEEDED_BYTES) -> None:
    """Raise Trouble when the file system of the directory has less room than a run may need."""
    left = shutil.disk_usage(directory).free
    if left < needed:
        raise Trouble(
            f"Only {left / 1e6:,.0f} MB are free where {directory} lives; PostgreSQL and Kafka may need "
            f"{needed / 1e9:.0f} GB. Free some (make clean removes Patron's own data), then start again."
        )


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the directory for this process; Trouble when another one has it. Death lets go of it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise Trouble(
                f"Patron is already running here, as process {holder}. Stop it with Ctrl-C in its terminal, "
                f"or with: kill {holder}"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
