"""Whether the migrations of every service lead to what its models say, tried on a PostgreSQL of its own."""

import sys
from pathlib import Path

from stack import postgres
from stack.fleet import SERVICES, Service, migrate, settings
from stack.ports import free
from stack.process import Failed, run_once
from stack.servers import DATABASES, Backing, together
from stack.trouble import Trouble


async def check(directory: Path) -> None:
    """Migrate fresh databases and compare; Trouble names what differs."""
    port = free(1)[0]
    server = await postgres.server(directory, port=port, durable=False)
    try:
        await server.start()
        await postgres.create_databases(postgres.url(directory, port, "postgres"), DATABASES)
        urls = {name: postgres.url(directory, port, name) for name in DATABASES}
        servers = Backing(urls, bootstrap="localhost:9092", postgres=server, kafka=None)  # Kafka is not asked
        await together(*(_check(directory, servers, service) for service in SERVICES))
    finally:
        await server.stop()
        postgres.remove(directory)


async def _check(directory: Path, servers: Backing, service: Service) -> None:
    variables = settings(directory, servers, service, urls={})
    await migrate(service, variables)
    try:
        await run_once([sys.executable, "-m", service.package, "check-migrations"], environment=variables)
    except Failed as failure:
        raise Trouble(
            f"The migrations of {service.name} do not lead to what its tables say. Add a migration, or "
            f"correct one that was never released.\n{failure.output}"
        ) from failure
