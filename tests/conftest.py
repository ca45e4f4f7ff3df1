"""What tests share: a real PostgreSQL, a real Kafka, and a fresh, migrated database for whoever asks."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from shared.service import Service
from shared.settings import ServiceSettings
from stack import kafka as kafka_server
from stack import ports, topics
from stack import postgres as postgres_server

MakeDatabase = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A PostgreSQL of this test run's own; the URL of its maintenance database."""
    directory = tmp_path_factory.mktemp("postgres").resolve()
    port = ports.free(1)[0]
    server = await postgres_server.server(directory, port=port, durable=False, say=lambda _: None)
    await server.start()
    yield postgres_server.url(directory, port, "postgres")
    await server.stop()
    postgres_server.remove_outside(directory)


@pytest.fixture(scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A Kafka broker of this test run's own, with Patron's topics; its bootstrap address."""
    broker, controller = ports.free(2)
    server = await kafka_server.server(
        tmp_path_factory.mktemp("kafka").resolve(), port=broker, controller_port=controller, say=print
    )
    await server.start()
    bootstrap = f"{ports.HOST}:{broker}"
    await topics.create(bootstrap)
    yield bootstrap
    await server.stop()


@pytest.fixture(scope="session")
def make_database(postgres: str) -> MakeDatabase:
    """Makes a fresh, migrated database of a package, `orders` say; answers its URL."""
    templates: dict[str, str] = {}
    lock = asyncio.Lock()

    async def create(name: str, template: str = "template1") -> str:
        connection = await asyncpg.connect(postgres)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return postgres.rsplit("/", 1)[0] + f"/{name}"

    async def make(package: str) -> str:
        async with lock:
            if package not in templates:
                url = await create(f"template_{package}")
                await asyncio.to_thread(migrate, package, url)
                templates[package] = f"template_{package}"
        return await create(f"{package}_{uuid4().hex[:12]}", templates[package])

    return make


def migrate(package: str, url: str) -> None:
    """Bring a database to the newest version of a package's tables."""
    service: Service[ServiceSettings] = importlib.import_module(f"{package}.app").SERVICE
    config = Config(attributes={"database_url": url})
    config.set_main_option("script_location", str(Path(service.migrations)))
    command.upgrade(config, "head")
