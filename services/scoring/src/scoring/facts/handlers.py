"""Events in: every event that scoring listens to becomes a fact and moves its customer's state."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from scoring.facts import counting, store
from scoring.facts.reading import fact_of
from shared.bus.reading import Delivery, Handlers
from shared.db import Tx
from shared.events.customer import CustomerCreated
from shared.events.event import Event
from shared.events.orders import OrderCancelled, OrderCompleted, OrderPlaced
from shared.events.service_desk import TicketOpened, TicketReopened, TicketResolved

COUNTED: tuple[type[Event], ...] = (
    CustomerCreated,
    OrderPlaced,
    OrderCompleted,
    OrderCancelled,
    TicketOpened,
    TicketResolved,
    TicketReopened,
)


def handlers_in(currency: str) -> Handlers:
    """What scoring listens to, where the deployment's money is in this currency."""
    return dict.fromkeys(COUNTED, partial(count_facts, currency=currency))


async def count_facts(tx: Tx, deliveries: Sequence[Delivery[Any]], *, currency: str) -> None:
    """Count a batch of facts; whoever they are about is due to be scored."""
    facts = [fact_of(delivery, currency) for delivery in deliveries]
    states = await store.lock_states(tx, {fact.customer_id for fact in facts})
    known = await store.find_facts(tx, facts)
    counted = counting.count(states, known, facts)
    await store.save_facts(tx, counted.facts, counted.superseding)
    if counted.late:  # which takes seconds where somebody has 100,000 facts: Kafka must hear of us meanwhile
        await asyncio.to_thread(counted.rebuild, await store.list_facts(tx, counted.late))
    due = {fact.customer_id: delivery.at for fact, delivery in zip(facts, deliveries, strict=True)}
    await store.save_states(tx, counted.states, due)
    await store.restate(tx, {who: states[who] for who in counted.restated if states[who].purchases})
