"""A request sent twice is done once and answered twice alike, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from starlette.responses import Response

from shared.db import Database
from shared.errors import Conflict
from shared.testing import FixedClock
from shared.testing.http import bearer, client, test_keys
from shared.web.assembly import build_api
from shared.web.auth import Caller, Needs
from shared.web.deps import Db
from shared.web.fields import Body, Name, View
from shared.web.idempotency import Idempotency, forget_old_keys
from shared.web.routing import Router
from shared.web.settings import WebSettings
from shared.web.tables import IdempotencyKey
from shared.web.tokens import LOCAL_ISSUER, jwks_url


class Write(Body):
    text: Name


class Written(View):
    id: int
    text: str


router = Router(prefix="/v1/notes")
hold, slow_began = asyncio.Event(), asyncio.Event()


@router.post("", status_code=201, response_model=Written)
async def write_note(
    body: Write, caller: Annotated[Caller, Needs("orders:write")], db: Db, idem: Idempotency
) -> Response:
    async with db.tx() as tx:
        await idem.begin(tx)
        id_ = await tx.fetchval("INSERT INTO note (text) VALUES ($1) RETURNING id", body.text)
        if body.text == "refuse":
            raise Conflict("Not this one.")
        if body.text == "slow":
            slow_began.set()
            await hold.wait()
        headers = {"Location": f"/v1/notes/{id_}", "Sync-Token": f"notes:{id_}=1"}
        return await idem.answer(tx, Written(id=id_, text=body.text), 201, headers, version=1)


@router.delete("/{note_id}", status_code=204)
async def remove_note(
    note_id: int, caller: Annotated[Caller, Needs("orders:write")], db: Db, idem: Idempotency
) -> Response:
    async with db.tx() as tx:
        await idem.begin(tx)
        await tx.execute("DELETE FROM note WHERE id = $1", note_id)
        return await idem.answer(tx, None, 204)


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[Database]:
    name = f"idempotency_{uuid4().hex[:12]}"
    server = await asyncpg.connect(postgres)
    await server.execute(f"CREATE DATABASE {name}")
    db = await Database.open(postgres.rsplit("/", 1)[0] + "/" + name)
    async with db.tx() as tx:
        await tx.execute(str(CreateTable(IdempotencyKey.__table__).compile(dialect=postgresql.dialect())))  # type: ignore[attr-defined, no-untyped-call]
        await tx.execute("CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)")
    yield db
    await db.close()
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


@pytest.fixture
def notes(database: Database, clock: FixedClock) -> FastAPI:
    @asynccontextmanager
    async def open_() -> AsyncIterator[dict[str, object]]:
        yield {"db": database, "clock": clock}

    settings = WebSettings(
        oidc_issuer=LOCAL_ISSUER,
        oidc_jwks_url=jwks_url(test_keys()),
        cursor_secret=SecretStr("only-for-tests-only-for-tests"),
    )
    return build_api("notes", settings=settings, routers=[router], open_=open_)


@pytest.fixture
async def http(notes: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client(notes) as caller:
        yield caller


async def write(
    http: httpx.AsyncClient, key: str | None, text: str = "hello", **headers: str
) -> httpx.Response:
    sent = headers | ({"Idempotency-Key": key} if key is not None else {})
    return await http.post("/v1/notes", json={"text": text}, headers=sent)


async def count(database: Database) -> int:
    async with database.read() as tx:
        return int(await tx.fetchval("SELECT count(*) FROM note"))


async def test_a_repetition_gets_the_first_answer(http: httpx.AsyncClient, database: Database) -> None:
    first, again = await write(http, "k"), await write(http, "k")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    for name in ("etag", "location", "sync-token", "content-type", "content-length"):
        assert first.headers[name] == again.headers[name]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["trace-id"] != again.headers["trace-id"]
    assert len(again.headers.get_list("content-length")) == 1
    assert await count(database) == 1


async def test_without_a_key_every_request_counts(http: httpx.AsyncClient, database: Database) -> None:
    await write(http, None)
    await write(http, None)
    assert await count(database) == 2


async def test_an_answer_without_a_body_is_repeated_too(http: httpx.AsyncClient) -> None:
    for replayed in (None, "true"):
        answer = await http.delete("/v1/notes/1", headers={"Idempotency-Key": "d"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers.get("idempotent-replayed") == replayed


async def test_the_key_of_another_request_is_refused(http: httpx.AsyncClient, database: Database) -> None:
    await write(http, "k")
    other = await write(http, "k", "other")
    assert (other.status_code, other.json()["type"]) == (422, "urn:patron:problem:idempotency-key-reused")
    assert await count(database) == 1


async def test_keys_of_different_callers_and_routes_do_not_meet(
    http: httpx.AsyncClient, database: Database
) -> None:
    await write(http, "k")
    assert "idempotent-replayed" not in (await write(http, "k", **bearer("sales"))).headers
    answer = await http.delete("/v1/notes/99", headers={"Idempotency-Key": "k"})
    assert "idempotent-replayed" not in answer.headers
    assert await count(database) == 2


async def test_a_refused_request_may_be_tried_again(http: httpx.AsyncClient, database: Database) -> None:
    for _ in range(2):
        assert (await write(http, "k", "refuse")).status_code == 409
    assert await count(database) == 0


async def test_a_second_request_during_the_first_is_told_to_come_back(
    http: httpx.AsyncClient, database: Database
) -> None:
    hold.clear()
    first = asyncio.create_task(write(http, "k", "slow"))
    await slow_began.wait()
    second = await write(http, "k", "slow")
    assert (second.status_code, second.json()["type"]) == (409, "urn:patron:problem:in-progress")
    assert second.headers["retry-after"] == "1"
    hold.set()
    assert (await first).status_code == 201
    assert (await write(http, "k", "slow")).headers["idempotent-replayed"] == "true"
    assert await count(database) == 1


async def test_many_at_once_do_it_once(http: httpx.AsyncClient, database: Database) -> None:
    answers = await asyncio.gather(*(write(http, "k") for _ in range(40)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await count(database) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\x01"])
async def test_a_malformed_key_is_refused(http: httpx.AsyncClient, key: str) -> None:
    assert (await write(http, key)).status_code == 400


async def test_the_longest_key_is_taken(http: httpx.AsyncClient) -> None:
    assert (await write(http, "~" * 255)).status_code == 201


async def test_keys_are_forgotten_after_a_day(
    http: httpx.AsyncClient, database: Database, clock: FixedClock
) -> None:
    await write(http, "old")
    clock.advance(timedelta(hours=23))
    await write(http, "new")
    clock.advance(timedelta(hours=2))
    async with database.tx() as tx:
        assert await forget_old_keys(tx, clock.now()) == 1
    assert "idempotent-replayed" not in (await write(http, "old")).headers
    assert (await write(http, "new")).headers["idempotent-replayed"] == "true"


async def test_readiness_looks_at_the_database(http: httpx.AsyncClient, database: Database) -> None:
    assert "not migrated" in (await http.get("/health/ready")).json()["detail"]
    async with database.tx() as tx:
        await tx.execute("CREATE TABLE alembic_version (version_num text)")
    assert (await http.get("/health/ready")).json() == {"status": "ready"}
    await database.close()
    away = await http.get("/health/ready")
    assert (away.status_code, away.headers["content-type"]) == (503, "application/problem+json")
    assert (await http.get("/health/live")).status_code == 200
    assert (await write(http, None)).status_code == 503
