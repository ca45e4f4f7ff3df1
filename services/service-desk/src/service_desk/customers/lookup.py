"""Making sure of customers before a ticket names them."""

from collections.abc import Iterable
from uuid import UUID

from service_desk.customers import store
from shared.customers import AskCustomers, no_such_customer
from shared.db import Database
from shared.events.customer import CustomerState
from shared.web.auth import Caller


def require_own(caller: Caller, customer_id: UUID) -> None:
    """A customer acts for themselves alone: to them, other customers do not exist."""
    if not caller.sees(customer_id):
        raise no_such_customer(customer_id)


class Customers:
    """Who of the customers asked about exists; `fresh` are those whose copy is still to be saved."""

    def __init__(self, known: set[UUID], fresh: dict[UUID, CustomerState]) -> None:
        self._known = known
        self.fresh = list(fresh.values())

    def require(self, customer_id: UUID) -> None:
        """Refuse a customer that nobody knows."""
        if customer_id not in self._known:
            raise no_such_customer(customer_id)


async def look_up(db: Database, ask: AskCustomers, customer_ids: Iterable[UUID]) -> Customers:
    """Look at our copy, and ask the customer service once for those it lacks; not within a transaction."""
    wanted = set(customer_ids)
    async with db.read() as tx:
        known = await store.list_known(tx, wanted)
    fresh = await ask(sorted(wanted - known)) if wanted - known else {}
    return Customers(known | fresh.keys(), fresh)
