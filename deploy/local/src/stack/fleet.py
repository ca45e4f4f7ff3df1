"""The four services as processes: an API and one or more workers each."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from shared.web.tokens import LOCAL_AUDIENCE, LOCAL_ISSUER, ensure_keys, jwks_url, mint
from stack.ports import HOST, free
from stack.process import Failed, Process, run_once
from stack.servers import BOOTSTRAP_VARIABLE, Backing, database_variable, together
from stack.trouble import Trouble


class Service(NamedTuple):
    """A service and the ports it has by default."""

    name: str
    api_port: int
    worker_port: int

    @property
    def package(self) -> str:
        """Its Python package, which is also the name of its database."""
        return self.name.replace("-", "_")


SERVICES = (
    Service("customer", 8001, 9001),
    Service("orders", 8002, 9002),
    Service("service-desk", 8003, 9003),
    Service("scoring", 8004, 9004),
)


@dataclass(frozen=True)
class Fleet:
    """The running services."""

    urls: Mapping[str, str]  # base address of the API, by service
    processes: Mapping[str, Process]  # by name: orders.api, orders.worker, orders.worker-2

    def of(self, kind: str) -> list[Process]:
        """The processes of one kind: `api` or `worker`."""
        return [process for name, process in self.processes.items() if name.split(".")[1].startswith(kind)]


def default_ports(offset: int = 0) -> dict[str, int]:
    """The well-known port of each process, moved by an offset."""
    ports = {f"{service.name}.api": service.api_port + offset for service in SERVICES}
    return ports | {f"{service.name}.worker": service.worker_port + offset for service in SERVICES}


@asynccontextmanager
async def services(
    directory: Path,
    backing: Backing,
    *,
    which: Sequence[Service] = SERVICES,
    workers: int = 1,
    ports: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Fleet]:
    """Migrate the databases, then run an API and some workers of each service until the block is left.

    `ports` by process name, free ones for the rest; `environment` for all processes, `overrides` by process
    name.
    """
    names = [f"{service.name}.{role}" for service in which for role in roles(workers)]
    port_of = {**dict(zip(names, free(len(names)), strict=True)), **(ports or {})}
    urls = {service.name: f"http://{HOST}:{port_of[f'{service.name}.api']}" for service in which}
    processes: dict[str, Process] = {}
    migrations = []
    for service in which:
        variables = {**settings(directory, backing, service, urls), **(environment or {})}
        migrations.append(migrate(service, variables))
        for role in roles(workers):
            name = f"{service.name}.{role}"
            own = {**variables, **(overrides or {}).get(name, {})}
            processes[name] = _process(directory, name, service, port_of[name], own)
    fleet = Fleet(urls, processes)
    await together(*migrations)
    try:
        await together(*(process.start() for process in processes.values()))
        yield fleet
    finally:
        for kind in ("worker", "api"):
            await together(*(process.stop() for process in fleet.of(kind)))


def roles(workers: int) -> list[str]:
    """The processes of one service: api, worker, worker-2, …"""
    return ["api", *("worker" if number == 1 else f"worker-{number}" for number in range(1, workers + 1))]


def keys_of(directory: Path) -> Path:
    """Where the local key pair and secrets are, made when they are not there."""
    keys = directory.resolve() / "keys"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    ensure_keys(keys)
    return keys


def settings(directory: Path, backing: Backing, service: Service, urls: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service's processes: ours, its database, Kafka, keys, and where the others are."""
    keys = keys_of(directory)
    others = {f"{name.replace('-', '_').upper()}_URL": url for name, url in urls.items()}
    inherited = {name: value for name, value in os.environ.items() if not _is_ours_alone(name)}
    return {
        "CURRENCY": "USD",
        "LOG_FORMAT": "text",
        **inherited,
        **others,
        "DATABASE_URL": backing.database_urls[service.package],
        BOOTSTRAP_VARIABLE: backing.bootstrap,
        "OIDC_ISSUER": LOCAL_ISSUER,
        "OIDC_AUDIENCE": LOCAL_AUDIENCE,
        "OIDC_JWKS_URL": jwks_url(keys),
        "CURSOR_SECRET": _secret(keys / "cursor_secret"),
        "SERVICE_TOKEN_FILE": str(_service_token(keys, service)),
        "PYTHONUNBUFFERED": "1",
    }


def _is_ours_alone(variable: str) -> bool:
    """Other services' databases, and the wish for no bytecode, which would double how long services start."""
    return variable.endswith("_DATABASE_URL") or variable == "PYTHONDONTWRITEBYTECODE"


def _process(
    directory: Path, name: str, service: Service, port: int, variables: Mapping[str, str]
) -> Process:
    role = "api" if name.endswith(".api") else "worker"

    async def ready() -> None:
        await answers(port)

    return Process(
        name=name,
        command=[sys.executable, "-m", service.package, role, "--port", str(port)],
        log=directory / "log" / f"{name}.log",
        ready=ready,
        environment=variables,
        ports=(port,),
    )


async def answers(port: int) -> None:
    """Raise unless GET /health/ready on the port answers 200."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(
            f"GET /health/ready HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = (await reader.read()).decode(errors="replace")
    finally:
        writer.close()
    if " 200 " not in answer.partition("\r\n")[0]:
        raise ConnectionError(answer.rpartition("\r\n\r\n")[2][:500] or "no answer")


async def migrate(service: Service, variables: Mapping[str, str]) -> None:
    """Bring the service's database up to date."""
    try:
        await run_once([sys.executable, "-m", service.package, "migrate"], environment=variables)
    except Failed as failure:
        lines = "\n".join(failure.output.splitlines()[-20:])
        raise Trouble(
            f"The migrations of {service.name} failed; its database ({database_variable(service.package)}) "
            f"is as far as the last one that succeeded. The last lines:\n{lines}"
        ) from failure


def _service_token(keys: Path, service: Service) -> Path:
    """A file with the token this service shows to the others, fresh at every start."""
    file = keys / f"{service.name}.token"
    file.touch(mode=0o600)
    file.write_text(mint(keys, role="service", sub=f"service:{service.name}", ttl=timedelta(days=365)))
    return file


def _secret(file: Path) -> str:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text()
