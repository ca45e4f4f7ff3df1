"""Money received, and which orders it pays."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from orders.ordering.domain import Order, order_number
from shared.errors import FieldError, Invalid
from shared.events import orders as events
from shared.events.orders import ReceiptMethod, ReceiptRecorded, ReceiptState


class Allocation(NamedTuple):
    """The part of a receipt that pays one order."""

    order_id: UUID
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Money received from a customer; what is not allocated stays on account."""

    id: UUID
    version: int = 1
    customer_id: UUID
    amount_minor: int
    currency: str
    method: ReceiptMethod
    reference: str | None = None
    received_at: datetime
    allocations: tuple[Allocation, ...] = ()

    @property
    def allocated_minor(self) -> int:
        """What pays orders."""
        return sum(allocation.amount_minor for allocation in self.allocations)

    @property
    def on_account_minor(self) -> int:
        """What pays no order yet."""
        return self.amount_minor - self.allocated_minor

    def state(self) -> ReceiptState:
        """The receipt as other services see it: without its reference, which may name people."""
        return ReceiptState(
            id=self.id,
            version=self.version,
            amount_minor=self.amount_minor,
            currency=self.currency,
            method=self.method,
            received_at=self.received_at,
            allocations=tuple(
                events.Allocation(order_id=a.order_id, amount_minor=a.amount_minor) for a in self.allocations
            ),
        )


def require_covered(amount_minor: int, allocations: Sequence[Allocation]) -> None:
    """Refuse to allocate more than was received, or twice to one order."""
    allocated = sum(allocation.amount_minor for allocation in allocations)
    if allocated > amount_minor:
        raise Invalid(
            f"{allocated} is allocated, but {amount_minor} was received; allocate less.",
            errors=[FieldError("allocations", f"must be at most {amount_minor} together", allocated)],
        )
    times = Counter(allocation.order_id for allocation in allocations)
    twice = [n for n, allocation in enumerate(allocations) if times[allocation.order_id] > 1]
    if twice:
        raise Invalid(
            "An order is paid twice by one receipt; add the amounts up into one allocation.",
            errors=[
                FieldError(f"allocations.{n}.order_id", "must be there once", allocations[n].order_id)
                for n in twice
            ],
        )


def record(receipt: Receipt, orders: Mapping[UUID, Order]) -> ReceiptRecorded:
    """The event of a receipt, once every allocation is seen to fit its order; `orders` are locked."""
    require_covered(receipt.amount_minor, receipt.allocations)
    errors = [
        error
        for n, allocation in enumerate(receipt.allocations)
        if (error := _misfit(n, allocation, orders.get(allocation.order_id), receipt.customer_id))
    ]
    if errors:
        raise Invalid("An allocation does not fit its order; see errors and correct it.", errors=errors)
    return ReceiptRecorded(customer_id=receipt.customer_id, receipt=receipt.state())


def _misfit(n: int, allocation: Allocation, order: Order | None, customer_id: UUID) -> FieldError | None:
    field = f"allocations.{n}.order_id"
    if order is None or order.customer_id != customer_id:
        return FieldError(field, "must be the id of an order of this customer", allocation.order_id)
    if order.status == "cancelled":
        rule = f"must not be a cancelled order; {order_number(order.number)} owes nothing"
        return FieldError(field, rule, allocation.order_id)
    still_open = order.total_minor - order.paid_minor
    if allocation.amount_minor > still_open:
        rule = f"must be at most {still_open}, what is still open on {order_number(order.number)}"
        return FieldError(f"allocations.{n}.amount_minor", rule, allocation.amount_minor)
    return None
