"""What the customer service tells."""

from collections.abc import Sequence

from service_desk.customers import store
from shared.bus.reading import Delivery
from shared.db import Tx
from shared.events.customer import CustomerChanged, CustomerCreated


async def copy_customers(tx: Tx, deliveries: Sequence[Delivery[CustomerCreated | CustomerChanged]]) -> None:
    """Keep our copy of these customers up to date."""
    await store.save(tx, [delivery.event.customer for delivery in deliveries])
