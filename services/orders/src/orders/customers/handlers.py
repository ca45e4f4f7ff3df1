"""The customer service's events, as far as orders needs them."""

from collections.abc import Sequence

from orders.customers import store
from orders.customers.domain import Customer
from shared.bus.reading import Delivery
from shared.db import Tx
from shared.events.customer import CustomerChanged, CustomerCreated


async def copy_customers(tx: Tx, deliveries: Sequence[Delivery[CustomerCreated | CustomerChanged]]) -> None:
    """Keep the customer's status, class and credit limit."""
    await store.save(tx, [Customer.of(delivery.event.customer) for delivery in deliveries])
