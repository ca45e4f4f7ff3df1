"""A customer whose event has not arrived yet is asked for, once, outside of any transaction."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar
from uuid import UUID

from orders.customers import store
from orders.customers.domain import Customer, NotCopied
from shared.customers import AskCustomers, no_such_customer
from shared.db import Database
from shared.errors import FieldError, Refused, Unavailable

T = TypeVar("T")

MOST_FRUITLESS = 100
"""How many ids of nobody one import may ask about: a wrong file must not flood the customer service."""
_ASKED_TOGETHER = 25


async def knowing_the_customer(db: Database, ask: AskCustomers, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` answers; where it misses a customer, that one is asked for and it is tried once more."""
    try:
        return await attempt()
    except NotCopied as missing:
        wanted = missing.customer_id
    await _copy(db, ask, [wanted])
    try:
        return await attempt()
    except NotCopied:
        raise no_such_customer(wanted) from None


async def _copy(db: Database, ask: AskCustomers, ids: Collection[UUID]) -> dict[UUID, Customer]:
    found = {id_: Customer.of(state) for id_, state in (await ask(ids)).items()}
    async with db.tx() as tx:
        await store.save(tx, found.values())
    return found


class Enquiry:
    """The questions of one import: as many as find somebody, and only so many that do not."""

    def __init__(self, db: Database, ask: AskCustomers) -> None:
        self._db = db
        self._ask = ask
        self._unknown: set[UUID] = set()
        self._away = False

    async def learn(self, ids: Collection[UUID]) -> None:
        """Have the customers copied, as far as there are such and they can be asked for."""
        async with self._db.read() as tx:
            known = await store.list_known(tx, ids)
        missing = [id_ for id_ in ids if id_ not in known and id_ not in self._unknown]
        self._away = False
        while missing and len(self._unknown) < MOST_FRUITLESS:
            asked, missing = missing[:_ASKED_TOGETHER], missing[_ASKED_TOGETHER:]
            try:
                found = await _copy(self._db, self._ask, asked)
            except Unavailable:
                self._away = True
                return
            self._unknown.update(id_ for id_ in asked if id_ not in found)

    def refusal(self, customer_id: UUID) -> Refused:
        """Why a row of a customer who is still not known is refused."""
        if customer_id in self._unknown:
            return no_such_customer(customer_id)
        reason = (
            "the customer service, which would know, does not answer"
            if self._away
            else f"this import has asked for {MOST_FRUITLESS} customers that are not there and asks no more"
        )
        return Unavailable(
            f"Customer {customer_id} is not known here, and {reason}; import the row again later.",
            errors=[FieldError("customer_id", f"is not known here: {reason}", customer_id)],
        )
