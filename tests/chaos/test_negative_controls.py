"""With a guard switched off, the checks must find something wrong; with it, in the same scenario, nothing."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from httpx import ASGITransport, AsyncClient

import orders.ordering.router
from orders.app import SERVICE
from shared import service
from shared.bus import relay as relay_module
from shared.bus.consumer import Consumer, FencedError
from shared.bus.outbox import list_after
from shared.bus.reading import Delivery
from shared.bus.relay import LeaseLostError, Relay
from shared.db import Database, Tx, new_id
from shared.settings import ServiceSettings
from shared.testing.http import bearer, web_environment
from shared.testing.waiting import until
from shared.web.idempotency import KeyedRequest
from tests.chaos import invariants, sabotage
from tests.chaos.writers import Client, Record
from tests.conftest import MakeDatabase
from tests.service.bus.conftest import Counted
from tests.service.bus.test_relay_and_consumer import producing, publish, reading, running

Switch = Callable[[], AbstractContextManager[None]]
GROUP = "tally"


async def tally(tx: Tx, deliveries: Sequence[Delivery[Counted]]) -> None:
    """A handler that trusts the event path: it adds up, and would add up anything twice."""
    for delivery in deliveries:
        await tx.execute(
            "INSERT INTO tally (thing, total) VALUES ($1, $2)"
            " ON CONFLICT (thing) DO UPDATE SET total = tally.total + excluded.total",
            delivery.key,
            delivery.event.amount,
        )


async def sums_differ(db: Database) -> list[str]:
    """Whether the tally is what SQL adds up over everything published."""
    async with db.read() as connection:
        told = await connection.fetch("SELECT thing, total FROM tally")
        published = await connection.fetch(
            "SELECT key, sum((convert_from(payload, 'utf8')::jsonb ->> 'amount')::bigint)::bigint"
            " FROM outbox GROUP BY key"
        )
    return invariants.differences("tally and outbox", map(tuple, told), map(tuple, published))


@pytest.fixture
async def tallying(db: Database, lab: str) -> str:
    """A place for the tally; the bootstrap address."""
    async with db.tx() as tx:
        await tx.execute("CREATE TABLE tally (thing text PRIMARY KEY, total bigint)")
    return lab


async def send(db: Database, producer: AIOKafkaProducer, key: str, seqs: Sequence[int]) -> None:
    """What the outbox holds of a key goes to Kafka as no relay would send it: in this order, this often."""
    async with db.read() as connection:
        published = {p.seq: p for p in await list_after(connection, Counted.topic, key, 0, 100)}
    for seq in seqs:
        headers = [(name, value.encode()) for name, value in published[seq].headers.items()]
        await producer.send_and_wait(Counted.topic, published[seq].payload, key=key.encode(), headers=headers)


@pytest.mark.parametrize(
    ("switch", "sent"),
    [
        (sabotage.gate_open_for_early_events, [2, 1, 3]),
        (sabotage.gate_open_for_repetitions, [1, 2, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("off", [False, True])
async def test_without_the_sequence_gate_the_sums_differ(
    db: Database, tallying: str, switch: Switch, sent: list[int], off: bool
) -> None:
    await publish(db, "aaa")
    async with producing(tallying) as producer:
        await send(db, producer, "a", sent)
    with switch() if off else nullcontext():
        async with running(Consumer(db, tallying, GROUP, {Counted: tally})):
            await until(lambda: _everything_read(db, tallying))
    assert bool(await sums_differ(db)) == off


async def _everything_read(db: Database, bootstrap: str) -> bool:
    async with db.read() as connection:
        return not await invariants.lag(connection, GROUP, [Counted.topic], bootstrap)


@pytest.mark.parametrize("off", [False, True])
async def test_without_the_compare_and_set_a_zombie_moves_the_offset_back(
    db: Database, tallying: str, off: bool
) -> None:
    await publish(db, "a" * 10)
    async with running(Relay(db, tallying)):
        await until(lambda: _all_sent(db))
    zombie, successor = (Consumer(db, tallying, GROUP, {Counted: tally}) for _ in range(2))
    partitions = {TopicPartition(Counted.topic, p) for p in range(3)}
    async with reading(tallying) as kafka:
        kafka.assign(partitions)
        await zombie.claim(kafka, partitions)
        [(partition, records)] = (await kafka.getmany(timeout_ms=5000)).items()
        await successor.claim(kafka, partitions)
        whole = await successor.decoded({partition: records})
        begun = await zombie.decoded({partition: records[:4]})
        with sabotage.compare_and_set_off() if off else nullcontext():
            await successor._take_in(whole)
            with nullcontext() if off else pytest.raises(FencedError):
                await zombie._take_in(begun)
    assert await _everything_read(db, tallying) != off
    assert not await sums_differ(db)  # the sequence gate still holds


async def _all_sent(db: Database) -> bool:
    async with db.read() as connection:
        return "unsent" not in " ".join(await invariants.unfinished(connection))


@pytest.mark.parametrize("off", [False, True])
async def test_without_the_lease_two_relays_send_everything_twice(
    db: Database, tallying: str, monkeypatch: pytest.MonkeyPatch, off: bool
) -> None:
    await publish(db, "abcabc")
    one, other = Relay(db, tallying), Relay(db, tallying)
    with sabotage.lease_off() if off else nullcontext():
        async with producing(tallying) as producer:

            async def meanwhile(*arguments: Any) -> Any:
                """When one has read what is to be sent, the other has its turn; nobody sleeps or dies."""
                monkeypatch.undo()
                if await other.hold_lease():
                    await other.send_once(producer)
                return await send_stream(*arguments)

            send_stream = relay_module._send_stream
            monkeypatch.setattr(relay_module, "_send_stream", meanwhile)
            assert await one.hold_lease()
            await one.send_once(producer)
    log = await invariants.read_log(tallying, [Counted.topic])
    async with db.read() as connection:
        assert invariants.in_order(log, await invariants.read_outbox(connection)) == []
    assert bool(invariants.repeated(log)) == off


@pytest.mark.parametrize("off", [False, True])
async def test_without_the_lease_a_relay_never_learns_that_it_was_succeeded(
    db: Database, tallying: str, off: bool
) -> None:
    await publish(db, "ab")
    sleeper, successor = Relay(db, tallying), Relay(db, tallying)
    assert await sleeper.hold_lease()
    async with db.tx() as tx:
        await tx.execute("UPDATE relay_lease SET expires_at = now() - interval '1 second'")
    assert await successor.hold_lease()
    with sabotage.lease_off() if off else nullcontext():
        async with producing(tallying) as producer:
            with nullcontext() if off else pytest.raises(LeaseLostError):
                await sleeper.send_once(producer)
    assert await _all_sent(db) == off  # what it marked, its successor will not send: not its to decide


@pytest.mark.parametrize("off", [False, True])
async def test_without_one_transaction_a_crash_leaves_an_event_of_an_order_that_is_none(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, off: bool
) -> None:
    for name, value in web_environment().items():
        monkeypatch.setenv(name, value)
    url, record = await make_database("orders"), Record()
    settings = ServiceSettings(database_url=url, kafka_bootstrap_servers="nowhere:1")
    app = service.api(SERVICE, settings)
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=transport, headers=bearer()) as http,
    ):
        client = Client(http, {"orders": "http://test"}, record)
        connection = await asyncpg.connect(url)
        customer_id = new_id()
        await connection.execute(
            "INSERT INTO customer (id, version, status) VALUES ($1, 1, 'active')", customer_id
        )
        product = {"sku": "s", "name": "Thing", "list_price_minor": 100}
        added = await client.post("orders", "/v1/products", product)
        assert added is not None
        record.keep("products", added)
        _crash_once_before_commit(monkeypatch)
        lines = [{"product_id": added["id"], "quantity": 1}]
        order = {"customer_id": str(customer_id), "lines": lines, "channel": "web"}
        with sabotage.outbox_apart(orders.ordering.router, url) if off else nullcontext():
            placed = await client.post("orders", "/v1/orders", order)
        assert placed is not None
        record.keep("orders", placed)
        assert record.retries == 1
        assert bool(await invariants.orders_as_acknowledged(connection, record)) == off
        await connection.close()


def _crash_once_before_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = KeyedRequest.answer

    async def crash(*_arguments: object, **_named: object) -> object:
        monkeypatch.setattr(KeyedRequest, "answer", answer)
        await asyncio.sleep(0)
        raise RuntimeError("crashed")

    monkeypatch.setattr(KeyedRequest, "answer", crash)
