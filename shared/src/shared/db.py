"""PostgreSQL through asyncpg: transactions that their caller opens and closes, rows typed."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import uuid_utils
from sqlalchemy.orm import configure_mappers
from sqlalchemy.orm.instrumentation import manager_of_class
from sqlmodel import SQLModel

Tx: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
"""A connection, inside the transaction of whoever handed it over."""

Row = TypeVar("Row", bound=SQLModel)

_SESSION = {
    "application_name": "patron",
    # A frozen process must not block its successor: it loses its transaction after ten seconds.
    "idle_in_transaction_session_timeout": "10000",
    "lock_timeout": "10000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "jit": "off",
}

_BROKEN = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def _reset_if_left_in_transaction(connection: asyncpg.Connection) -> None:
    # asyncpg's own reset costs a round trip per release: a fifth of a short request.
    if connection.is_in_transaction():
        await connection.reset()


PATIENCE_SECONDS = 10
"""How long to wait for a free connection: then the server is busy or frozen, and the caller hears so."""


class Database:
    """A pool of connections to one service's database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, size: int = 10, schema: str | None = None) -> "Database":
        """Connect; raises `OSError` or `asyncpg.PostgresError` when the server cannot be reached.

        `schema`: where the tables are, and nowhere else; by default where the server looks.
        """
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            server_settings=_SESSION | ({"search_path": schema} if schema else {}),
            reset=_reset_if_left_in_transaction,
            command_timeout=20,
            max_inactive_connection_lifetime=300,
        )
        return cls(pool)

    async def close(self) -> None:
        """Wait for what is running, then close every connection."""
        await self._pool.close()

    @asynccontextmanager
    async def tx(self, *, wait_for_disk: bool = True) -> AsyncIterator[Tx]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Without `wait_for_disk` a crash of the server may take back the last half second of such commits,
        whole and in order: for work that is then done again. `emit` makes any transaction wait.
        """
        async with self._acquire() as connection:
            try:
                async with connection.transaction():
                    if not wait_for_disk:
                        await connection.execute("SET LOCAL synchronous_commit = off")
                    yield connection
            except (*_BROKEN, OSError, TimeoutError) as problem:
                try:
                    lost = connection.is_closed()
                    connection.terminate()  # its state is unknown: nobody else may get it
                except asyncpg.InterfaceError:
                    lost = True  # the pool has taken it back already
                if lost and isinstance(problem, asyncpg.InterfaceError):  # asyncpg has many words for it
                    raise asyncpg.ConnectionDoesNotExistError(str(problem)) from problem
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A connection for single reads, each statement its own transaction."""
        async with self._acquire() as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """One transaction that only reads, everything as of one instant; it locks nothing."""
        async with self.tx() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield tx

    @asynccontextmanager
    async def alone(self, number: int) -> AsyncIterator[bool]:
        """Whether nobody else is within this number's block at this moment, in whichever process; a crash
        lets go. It takes a connection for as long."""
        async with self.read() as connection:
            mine: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", number)
            try:
                yield mine
            finally:
                try:
                    if mine:
                        await connection.execute("SELECT pg_advisory_unlock($1)", number)
                except BaseException:
                    connection.terminate()  # or the pool would keep it, and the lock with it
                    raise

    def _acquire(self) -> Any:
        # A limit costs a task of its own, so there is one only where there may be a wait.
        return self._pool.acquire(timeout=None if self._pool.get_idle_size() else PATIENCE_SECONDS)


_encoder = msgspec.json.Encoder()


def array(values: Sequence[UUID | int | float | str | datetime | bytes | None]) -> str:
    """The values as PostgreSQL writes an array, for a parameter such as `$1::text::uuid[]`; bytes as base64,
    what is not a number as null.

    For long ones: of asyncpg's own, each element costs as much as ten of these.
    """
    written = _encoder.encode(values).decode()
    if "\\" in written:  # JSON escapes line ends, say, otherwise
        return "{" + ",".join(map(_escaped, values)) + "}"
    return "{" + written[1:-1] + "}"


def _escaped(value: object) -> str:
    return "null" if value is None else '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def row(table: type[Row], record: Mapping[str, Any] | asyncpg.Record) -> Row:
    """The record, which has every column of the table, as a typed row."""
    # Thirty times as fast as the constructor, which tells the ORM, that we don't use, of every field.
    instance: Row = _manager(table).new_instance()
    instance.__dict__.update(record)
    return instance


@cache
def _manager(table: type[SQLModel]) -> Any:
    configure_mappers()  # until then, a table's attributes cannot be read
    return manager_of_class(table)


def rows(table: type[Row], records: Iterable[Mapping[str, Any] | asyncpg.Record]) -> list[Row]:
    """The records as typed rows."""
    return [row(table, record) for record in records]


def new_id() -> UUID:
    """A UUIDv7: unique without coordination, and in the order of creation within an index."""
    return UUID(int=uuid_utils.uuid7().int)
