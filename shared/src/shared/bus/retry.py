"""What passes by itself, and how long to wait for it."""

import asyncio
import random

import asyncpg
from aiokafka.errors import KafkaError

_PASSING = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's last word had come, the connection's end not yet
    asyncpg.InvalidCachedStatementError,  # a migration changed the table; asyncpg prepares it anew
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.OperatorInterventionError,  # the server is stopping, starting, or cancelled the statement
    asyncpg.UndefinedTableError,  # the code is newer than the tables: the migration is on its way
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientResourcesError,  # too many connections, disk or memory full
    KafkaError,
    OSError,
    TimeoutError,
)

FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 5.0


def is_transient(problem: BaseException) -> bool:
    """Whether trying the same again later may succeed: the database or broker is away, a lock, a deadlock."""
    if isinstance(problem, BaseExceptionGroup):
        return all(map(is_transient, problem.exceptions))
    return isinstance(problem, _PASSING)


class Backoff:
    """Waits that double from 50 ms to 5 s, with jitter."""

    def __init__(self) -> None:
        self._wait = FIRST_WAIT_SECONDS

    def reset(self) -> None:
        """The work went well: the next wait is short again."""
        self._wait = FIRST_WAIT_SECONDS

    async def wait(self) -> None:
        """Wait for now, and longer the next time."""
        await asyncio.sleep(self._wait * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, not a secret)
        self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)
