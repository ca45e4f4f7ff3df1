"""The whole of Patron as it runs, with a proxy before PostgreSQL and one before Kafka."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shared.web.tokens import mint
from stack import kafka, postgres, topics
from stack.fleet import Fleet, keys_of, services
from stack.ports import HOST, free
from stack.process import Process
from stack.servers import DATABASES, Backing, together
from tests.chaos.proxy import Proxy


@dataclass(frozen=True)
class System:
    """What runs, and the ways to it that no fault blocks once everything is repaired."""

    fleet: Fleet
    databases: Mapping[str, str]
    """The databases' addresses past the proxy."""
    bootstrap: str
    servers: Mapping[str, Process]
    proxies: Mapping[str, Proxy]
    """Of `postgres` and `kafka`, like the servers."""
    token: str

    @property
    def processes(self) -> dict[str, Process]:
        """The services' processes and the servers, by name."""
        return {**self.fleet.processes, **self.servers}


@asynccontextmanager
async def running(directory: Path, *, workers: int) -> AsyncIterator[System]:
    """Start everything below the directory, two workers of each service say, and stop it in the end."""
    pg_port, pg_proxy, broker_port, broker_proxy, controller_port = free(5)
    database = await postgres.server(directory, port=pg_port, say=lambda _: None)
    broker = await kafka.server(
        directory,
        port=broker_port,
        controller_port=controller_port,
        advertised_port=broker_proxy,
        say=lambda _: None,
    )
    async with AsyncExitStack() as stack:
        proxies = {
            "postgres": await stack.enter_async_context(Proxy(pg_proxy, pg_port).running()),
            "kafka": await stack.enter_async_context(Proxy(broker_proxy, broker_port).running()),
        }
        stack.callback(postgres.remove_outside, directory)
        for server in (database, broker):
            stack.push_async_callback(server.stop)
        await together(database.start(), broker.start())
        await postgres.create_databases(postgres.url(directory, pg_port, "postgres"), DATABASES)
        bootstrap = f"{HOST}:{broker_proxy}"
        await topics.create(bootstrap)
        through = {name: postgres.url(directory, pg_proxy, name) for name in DATABASES}
        backing = Backing(through, bootstrap, database, broker)
        yield System(
            fleet=await stack.enter_async_context(services(directory, backing, workers=workers)),
            databases={name: postgres.url(directory, pg_port, name) for name in DATABASES},
            bootstrap=bootstrap,
            servers={"postgres": database, "kafka": broker},
            proxies=proxies,
            token=mint(keys_of(directory), role="manager", ttl=timedelta(days=2)),
        )
