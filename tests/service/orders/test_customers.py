"""Orders' own copy of each customer, kept by the customer service's events."""

from datetime import UTC, datetime
from uuid import UUID

from orders.customers import store
from orders.customers.domain import Customer
from orders.customers.handlers import copy_customers
from shared.bus.reading import Delivery
from shared.db import new_id
from shared.events.customer import CustomerChanged, CustomerCreated, CustomerState

from .conftest import World

Told = CustomerCreated | CustomerChanged


def delivery(event: Told, seq: int) -> Delivery[Told]:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Delivery(event, event.topic, event.key, seq, new_id(), at, None)


def state(customer_id: UUID, version: int, **values: object) -> CustomerState:
    fields = {"number": "C-1", "type": "person", "status": "active", **values}
    return CustomerState(id=customer_id, version=version, **fields)  # type: ignore[arg-type]


def created(customer_id: UUID) -> Delivery[Told]:
    return delivery(CustomerCreated(customer_id=customer_id, customer=state(customer_id, 1)), 1)


def changed(customer_id: UUID, version: int, **values: object) -> Delivery[Told]:
    now = state(customer_id, version, **values)
    return delivery(CustomerChanged(customer_id=customer_id, customer=now, changed=("class",)), version)


async def test_a_batch_of_events_leaves_each_customer_as_it_now_is(world: World) -> None:
    ann, bob = new_id(), new_id()
    batch = [
        created(ann),
        created(bob),
        changed(ann, 2, class_="vip"),
        changed(ann, 3, class_="key", credit_limit_minor=5000),
        changed(bob, 2, status="inactive"),
    ]
    async with world.db.tx() as tx:
        await copy_customers(tx, batch)
        await copy_customers(tx, batch[:3])  # what was asked for over HTTP may have been newer than an event
        known = await store.list_known(tx, [ann, bob])
    assert known == {ann: Customer(ann, 3, "active", "key", 5000), bob: Customer(bob, 2, "inactive")}


async def test_a_customer_made_inactive_cannot_order_any_more(world: World) -> None:
    order = await world.order()
    customer_id = UUID(order["customer_id"])
    async with world.db.tx() as tx:
        await copy_customers(tx, [changed(customer_id, 2, status="inactive")])
    body = {
        "customer_id": str(customer_id),
        "lines": [{"product_id": order["lines"][0]["product_id"], "quantity": 1}],
        "channel": "web",
    }
    assert (await world.manager.post("/v1/orders", json=body)).status_code == 422
