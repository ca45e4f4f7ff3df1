"""What makes a package a service: one image, two commands. The HTTP side answers, the worker moves events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from fastapi import APIRouter, FastAPI
from sqlalchemy import MetaData

from shared import peers
from shared.bus.consumer import Consumer
from shared.bus.gaps import GapFiller
from shared.bus.inbox import Inbox
from shared.bus.reading import Handlers
from shared.bus.relay import Relay
from shared.bus.retry import is_transient
from shared.bus.router import router as events_router
from shared.clock import Clock
from shared.db import Database
from shared.settings import ServiceSettings
from shared.web.assembly import build_api
from shared.web.idempotency import forget_old_keys

log = structlog.get_logger()

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True)
class Service(Generic[S]):
    """One service: declared in its `app.py`, run by `python -m <package> api|worker|migrate|…`."""

    name: str
    """The package, the consumer group, and the second word of its topics."""
    title: str
    settings: Callable[[], S]
    tables: MetaData
    routers: Sequence[APIRouter]
    handlers: Callable[[S], Handlers]
    """What it consumes, and by which function."""
    jobs: Sequence[Callable[[Database, Clock, S], Awaitable[None]]] = ()
    """What else the worker does, each until cancelled."""
    resources: Callable[[S, Database], Mapping[str, object]] = field(default=lambda _settings, _db: {})
    """What the routers find in `request.app.state` besides db, clock and inbox."""
    migrations: Path = Path()


def api(service: Service[S], settings: S | None = None, clock: Clock | None = None) -> FastAPI:
    """The service's HTTP side; opens its database when it starts, not before."""
    chosen = settings or service.settings()

    @asynccontextmanager
    async def open_() -> AsyncIterator[dict[str, object]]:
        async with AsyncExitStack() as stack:
            db = await Database.open(chosen.database_url, size=chosen.database_pool_size)
            stack.push_async_callback(db.close)
            http = await stack.enter_async_context(peers.client(chosen.service_token_file))
            yield {
                "db": db,
                "clock": clock or Clock(),
                "settings": chosen,
                "inbox": Inbox(service.handlers(chosen)),
                "http": http,
                **service.resources(chosen, db),
            }

    return build_api(service.title, settings=chosen, routers=[*service.routers, events_router], open_=open_)


async def run_worker(service: Service[S], settings: S, clock: Clock | None = None) -> None:
    """Relay, consumer, gap filler and the service's own jobs, until cancelled."""
    db = await Database.open(settings.database_url, size=settings.database_pool_size)
    clock = clock or Clock()
    try:
        async with peers.client(settings.service_token_file) as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(Relay(db, settings.kafka_bootstrap_servers).run())
            tasks.create_task(_forget_keys(db, clock))
            if handlers := service.handlers(settings):
                consumer = Consumer(db, settings.kafka_bootstrap_servers, service.name, handlers)
                tasks.create_task(consumer.run())
                tasks.create_task(GapFiller(db, consumer.inbox, http, settings.publishers).run())
            for job in service.jobs:
                tasks.create_task(_keep_running(job, db, clock, settings))
    finally:
        await db.close()


async def _keep_running(
    job: Callable[[Database, Clock, S], Awaitable[None]], db: Database, clock: Clock, settings: S
) -> None:
    """A job that fails is started again: the others must not stop with it."""
    while True:
        try:
            await job(db, clock, settings)
        except Exception as problem:
            log.exception("job starts over", job=job.__name__, expected=is_transient(problem))
            await asyncio.sleep(1)


async def _forget_keys(db: Database, clock: Clock) -> None:
    while True:
        try:
            async with db.tx() as tx:
                await forget_old_keys(tx, clock.now())
        except Exception as problem:
            log.warning("old idempotency keys stay for now", problem=repr(problem))
        await asyncio.sleep(3600)
