"""The bare baselines: Starlette and asyncpg with the SQL of an order, of a score; no checks, no callers."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orders.ordering.store import _FOR_PLACING, _INSERT
from scoring.care.store import _LATEST
from scoring.facts.domain import decode
from scoring.serving.store import _FIND
from shared.bus.outbox import _APPEND_ONE
from shared.db import new_id


async def place_order(request: Request) -> Response:
    """Place an order, believing everything."""
    body = msgspec.json.decode(await request.body())
    now = datetime.now(UTC)
    customer, product = UUID(body["customer_id"]), UUID(body["lines"][0]["product_id"])
    quantity, order = body["lines"][0]["quantity"], new_id()
    async with request.app.state.pool.acquire() as tx, tx.transaction():
        (known,) = await tx.fetch(_FOR_PLACING, customer, [product])
        total = known["list_price_minor"] * quantity
        number = await tx.fetchval(
            _INSERT, order, 1, customer, "placed", body["channel"], "USD", now, total, total, None,
            [product], [quantity], [total], [total],
        )  # fmt: skip
        line = {
            "product_id": product,
            "quantity": quantity,
            "list_amount_minor": total,
            "amount_minor": total,
        }
        answer = {
            "id": order, "version": 1, "number": number, "customer_id": customer, "status": "placed",
            "channel": body["channel"], "currency": "USD", "ordered_at": now, "total_minor": total,
            "list_total_minor": total,
            "lines": [line],
        }  # fmt: skip
        payload = msgspec.json.encode({"customer_id": customer, "order": answer})
        await tx.fetch(
            _APPEND_ONE,
            "patron.orders",
            str(customer),
            new_id(),
            "orders.order_placed.v1",
            payload,
            now,
            None,
            None,
            None,
        )
    return Response(msgspec.json.encode(answer), 201, media_type="application/json")


async def read_score(request: Request) -> Response:
    """Read what a score is computed from, and answer that instead of a score."""
    customer = request.path_params["customer"]
    async with request.app.state.pool.acquire() as connection:
        _, state, band, *known = await connection.fetchrow(_FIND, [UUID(customer)])
        latest = await connection.fetchrow(_LATEST)
    answer = {
        "customer_id": customer, "state": decode(state), "band": band, "known": known,
        "model": latest["version"],
    }  # fmt: skip
    return Response(msgspec.json.encode(answer), media_type="application/json")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async def no_reset(_connection: asyncpg.Connection) -> None:
        return

    app.state.pool = await asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=1, max_size=10, reset=no_reset
    )
    yield
    await app.state.pool.close()


async def _ready(_request: Request) -> Response:
    return Response()


app = Starlette(
    routes=[
        Route("/v1/orders", place_order, methods=["POST"]),
        Route("/v1/scores/{customer}", read_score),
        Route("/health/ready", _ready),
    ],
    lifespan=_lifespan,
)
