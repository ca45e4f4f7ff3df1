"""Alembic for every service: the shared tables' DDL by version, and the environment its env.py runs."""

import asyncio
import re
from typing import Any

from alembic import context, op
from sqlalchemy import Connection, MetaData, pool
from sqlalchemy.ext.asyncio import create_async_engine

import shared.bus.tables
import shared.web.tables  # noqa: F401  (imported so that their tables are known)
from shared.tables import shared_metadata

SHARED_TABLES_V1 = """
CREATE TABLE stream_seq (
    topic text NOT NULL, key text NOT NULL, seq bigint NOT NULL, PRIMARY KEY (topic, key)
) WITH (fillfactor = 70);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    day date NOT NULL DEFAULT ((now() AT TIME ZONE 'utc')::date),
    topic text NOT NULL,
    key text NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    correlation_id text,
    causation_id text,
    traceparent text,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
CREATE UNIQUE INDEX outbox_stream ON outbox (topic, key, seq, day);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
CREATE TABLE relay_lease (
    name text PRIMARY KEY, owner text NOT NULL, epoch bigint NOT NULL, expires_at timestamptz NOT NULL
);
CREATE TABLE consumer_offset (
    group_id text NOT NULL, topic text NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL,
    epoch bigint NOT NULL, owner text NOT NULL, fingerprint text, PRIMARY KEY (group_id, topic, partition)
);
CREATE TABLE stream_progress (
    topic text NOT NULL, key text NOT NULL, last_seq bigint NOT NULL,
    parked boolean NOT NULL DEFAULT false, held boolean NOT NULL DEFAULT false, PRIMARY KEY (topic, key)
) WITH (fillfactor = 70);
CREATE TABLE held_event (
    topic text NOT NULL, key text NOT NULL, seq bigint NOT NULL, headers jsonb NOT NULL, value bytea NOT NULL,
    held_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (topic, key, seq)
);
CREATE TABLE parked_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL, partition integer, "offset" bigint, key text, seq bigint,
    headers jsonb NOT NULL, raw_key bytea, value bytea, state text NOT NULL, error text,
    parked_at timestamptz NOT NULL DEFAULT now(), closed_at timestamptz, actor text, reason text
);
CREATE INDEX parked_event_stream ON parked_event (topic, key, seq);
CREATE INDEX parked_event_waiting ON parked_event (id) WHERE state IN ('parked', 'queued');
CREATE TABLE idempotency_key (
    caller text NOT NULL, key text NOT NULL, route text NOT NULL, body_hash bytea NOT NULL,
    status smallint NOT NULL, headers jsonb NOT NULL, body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (caller, route, key)
);
CREATE INDEX idempotency_key_age ON idempotency_key (created_at);
"""
"""Executed by each service's first migration. A later change is a script beside it, never an edit."""

# Without the default an older process, which knows nothing of the queue, fails to publish instead of
# publishing what nobody would send.
UNSENT_APART = """
LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
DROP INDEX outbox_unsent;
CREATE TABLE outbox_unsent (id bigint PRIMARY KEY, day date NOT NULL);
INSERT INTO outbox_unsent (id, day) SELECT id, day FROM outbox WHERE sent_at IS NULL;
ALTER TABLE outbox DROP COLUMN sent_at, ALTER COLUMN day DROP DEFAULT;
"""
"""What is unsent has a table of its own."""


def execute_script(script: str) -> None:
    """Run several statements in a migration: asyncpg prepares only one at a time."""
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Leave the outbox's daily partitions out of comparisons with the models."""
    return kind != "table" or not re.match(r"outbox_(default$|\d)", name or "")


def run(service_tables: MetaData) -> None:
    """What a service's env.py does: migrate the database that the command named."""
    url = context.config.attributes["database_url"].replace("postgresql://", "postgresql+asyncpg://", 1)

    def migrate(connection: Connection) -> None:
        context.configure(
            connection=connection,
            target_metadata=[service_tables, shared_metadata],
            include_name=include_name,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.execute("SELECT pg_advisory_xact_lock(7468756)")  # one migration at a time
            context.run_migrations()

    async def connect() -> None:
        engine = create_async_engine(url, poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.commit()
        await engine.dispose()

    asyncio.run(connect())
