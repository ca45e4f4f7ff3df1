"""Ports of this machine: is one free, who holds it, which are free."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stack.trouble import Trouble

HOST = "127.0.0.1"
LISTENING = "0A"
BELOW_EPHEMERAL = range(
    20000, 32000
)  # the kernel gives these to nobody, so they stay free between two starts


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free(count: int) -> list[int]:
    """That many different free ports."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(BELOW_EPHEMERAL)  # noqa: S311 - no secret
        if port not in found and is_free(port):
            found.append(port)
    return found


def require_free(port: int, wanted_by: str) -> None:
    """Raise Trouble that names the port and, where it can be seen, the process that holds it."""
    if is_free(port):
        return
    holder = holder_of(port)
    by = f"by {holder}" if holder else "by another process"
    raise Trouble(
        f"Port {port}, which {wanted_by} needs, is taken {by}. Stop that process, or move all of Patron's "
        "ports with PORT_OFFSET, for example: make run PORT_OFFSET=100"
    )


def holder_of(port: int) -> str | None:
    """The process listening on the port, as `pid 123 (command line)`; None when it cannot be seen."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not wanted:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and wanted & _open_files(process):
            line = command_line(int(process.name))
            return f"pid {process.name} ({line if len(line) <= 80 else line[:79] + '…'})"
    return None


def command_line(pid: int) -> str:
    """What the process was started with; empty when it is gone or not ours to see."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def listening_inodes(table: str, port: int) -> Iterator[str]:
    """Socket inodes listening on the port, from the text of /proc/net/tcp or tcp6."""
    for line in table.splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
            yield rest[5]


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            yield from listening_inodes(Path(table).read_text(), port)
        except OSError:
            continue


def _open_files(process: Path) -> set[str]:
    found = set()
    with suppress(OSError):  # not ours to see, or gone
        for file in list((process / "fd").iterdir()):
            with suppress(OSError):
                found.add(os.readlink(file))
    return found
