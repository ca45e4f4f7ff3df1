"""The copy of the customers, kept from events."""

from itertools import permutations
from uuid import UUID

import httpx
import pytest

from service_desk.app import SERVICE
from service_desk.customers.handlers import copy_customers
from shared.bus.inbox import Inbox
from shared.bus.outbox import headers
from shared.bus.reading import Delivery, Incoming
from shared.db import new_id
from shared.events.customer import CustomerChanged, CustomerCreated, CustomerState, CustomerStatus
from shared.events.event import encode
from shared.settings import ServiceSettings
from tests.service.service_desk.conftest import NOW, Desk, opened

ANN = UUID(int=1)


def told(
    version: int, status: CustomerStatus = "active", level: str | None = None, customer_id: UUID = ANN
) -> CustomerCreated | CustomerChanged:
    state = CustomerState(
        id=customer_id, version=version, number="C-1", type="person", status=status, level=level
    )
    if version == 1:
        return CustomerCreated(customer_id=customer_id, customer=state)
    return CustomerChanged(customer_id=customer_id, customer=state, changed=("level",))


async def test_events_of_customers_arrive_through_the_inbox(desk: Desk, agent: httpx.AsyncClient) -> None:
    incomings = []
    inbox = Inbox(SERVICE.handlers(ServiceSettings.model_construct()))
    for seq, event in enumerate([told(1), told(2, level="gold"), told(3, "inactive", "gold")], 1):
        envelope = headers(new_id(), event.wire_name, event.key, seq, NOW, None, None, None)
        incomings.append(inbox.read(Incoming(event.topic, envelope, encode(event))))
    async with desk.db.tx() as tx:
        await inbox.take_in(tx, incomings)
    async with desk.db.read() as tx:
        found = await tx.fetchrow("SELECT version, status, level FROM customer")
    assert found is not None
    assert tuple(found) == (3, "inactive", "gold")
    await opened(agent, ANN)
    assert desk.customer_service.asked == 0


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])), ids=str)
@pytest.mark.parametrize("at_once", [True, False])
async def test_the_latest_version_wins_in_whatever_order(
    desk: Desk, order: tuple[int, ...], at_once: bool
) -> None:
    deliveries = [
        Delivery(told(v, level=f"L{v}"), "patron.customer", str(ANN), v, new_id(), NOW, None) for v in order
    ]
    batches = [deliveries] if at_once else [[delivery] for delivery in deliveries]
    for batch in batches:
        async with desk.db.tx() as tx:
            await copy_customers(tx, batch)
    async with desk.db.read() as tx:
        assert await tx.fetchval("SELECT level FROM customer") == "L3"
