"""Which customers orders may be taken from."""

from dataclasses import dataclass
from uuid import UUID

from shared.errors import FieldError, Invalid
from shared.events.customer import CustomerState, CustomerStatus

ELIMINATED = "eliminated"


@dataclass(frozen=True, slots=True)
class Customer:
    """What orders knows of a customer, as of a version of the customer's file."""

    id: UUID
    version: int
    status: CustomerStatus
    class_: str | None = None
    credit_limit_minor: int | None = None

    @classmethod
    def of(cls, state: CustomerState) -> "Customer":
        """The part of a customer's state that matters here."""
        return cls(state.id, state.version, state.status, state.class_, state.credit_limit_minor)


class NotCopied(Exception):
    """The customer is not known here, or not yet; leaves the transaction, so that others can be asked."""

    def __init__(self, customer_id: UUID) -> None:
        super().__init__(f"customer {customer_id} is not known here")
        self.customer_id = customer_id


def require_may_order(customer: Customer) -> None:
    """Refuse customers with whom nothing is done any more."""
    if customer.status != "active":
        raise Invalid(
            f"Customer {customer.id} is {customer.status}; make the customer active before taking an order.",
            errors=[FieldError("customer_id", f"must be active, and is {customer.status}", customer.id)],
        )
    if customer.class_ == ELIMINATED:
        raise Invalid(
            f"Customer {customer.id} is of the class {ELIMINATED}, from which no orders are taken; "
            "change the customer's class first.",
            errors=[FieldError("customer_id", f"must not be of the class {ELIMINATED}", customer.id)],
        )
