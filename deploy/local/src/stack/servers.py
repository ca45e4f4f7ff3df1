"""PostgreSQL and Kafka together, ready to use: databases and topics made."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stack import kafka, postgres, topics
from stack.local import absolute
from stack.ports import HOST, free
from stack.process import Process
from stack.trouble import Trouble

POSTGRES_PORT = 15432
KAFKA_PORT = 19092  # and the next one for the controller

DATABASES = ("customer", "orders", "service_desk", "scoring")
BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"


@dataclass(frozen=True)
class Backing:
    """Where the databases and Kafka are; the processes are None for servers that were there before."""

    database_urls: Mapping[str, str]
    bootstrap: str
    postgres: Process | None
    kafka: Process | None

    @property
    def processes(self) -> list[Process]:
        """The server processes that are ours."""
        return [process for process in (self.postgres, self.kafka) if process]

    def variables(self) -> dict[str, str]:
        """The environment variables that point another run at these servers."""
        urls = {database_variable(name): url for name, url in self.database_urls.items()}
        return {**urls, BOOTSTRAP_VARIABLE: self.bootstrap}


def database_variable(database: str) -> str:
    """The environment variable that names an existing database, as ORDERS_DATABASE_URL."""
    return f"{database.upper()}_DATABASE_URL"


@asynccontextmanager
async def backing(
    directory: Path,
    pg_port: int | None = None,
    kafka_port: int | None = None,
    *,
    durable: bool = True,
    existing: Mapping[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> AsyncIterator[Backing]:
    """PostgreSQL and Kafka with their data in `directory`, on the given ports or on free ones.

    `existing` may name servers by the variables of `Backing.variables`: those are used, not started.
    """
    directory = absolute(directory)
    existing = existing or {}
    named = {name: existing.get(database_variable(name)) for name in DATABASES}
    urls = {name: url for name, url in named.items() if url}
    bootstrap = existing.get(BOOTSTRAP_VARIABLE)
    pg_port = pg_port or free(1)[0]
    broker, controller = (kafka_port, kafka_port + 1) if kafka_port else free(2)
    database = (
        None
        if len(urls) == len(DATABASES)
        else await postgres.server(directory, port=pg_port, durable=durable, say=say)
    )
    queue = (
        None if bootstrap else await kafka.server(directory, port=broker, controller_port=controller, say=say)
    )
    if database:
        urls = {name: postgres.url(directory, pg_port, name) for name in DATABASES} | urls
    found = Backing(urls, bootstrap or f"{HOST}:{broker}", database, queue)
    try:
        await together(_databases(found, directory, pg_port), _topics(found))
        yield found
    finally:
        await together(*(process.stop() for process in found.processes))
        if database and not durable:
            postgres.remove_outside(directory)


async def _databases(found: Backing, directory: Path, port: int) -> None:
    if found.postgres:
        await found.postgres.start()
        await postgres.create_databases(postgres.url(directory, port, "postgres"), DATABASES)
    for name, url in found.database_urls.items():
        try:
            await postgres.answers(url)
        except Exception as error:
            raise Trouble(
                f"The database {name} cannot be reached ({error or type(error).__name__}). "
                f"Does it exist, and is {database_variable(name)} right?"
            ) from error


async def _topics(found: Backing) -> None:
    if found.kafka:
        await found.kafka.start()
    await topics.create(found.bootstrap)


async def together(*work: Coroutine[object, object, object]) -> None:
    """Run all of it at once; when one part fails, the others are cancelled and its error alone is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """One error out of a group: the first Trouble, else the first of all."""
    matching = errors.subgroup(Trouble)
    error: BaseException = matching or errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
