"""Requests and answers of receipts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from orders.receipts.domain import Allocation
from shared.events.orders import ReceiptMethod
from shared.web.fields import Body, Currency, Instant, Name, View

Money = Annotated[int, Field(ge=1, le=10**15)]


class AllocationGiven(Body):
    """How much of the money pays which order."""

    order_id: UUID
    amount_minor: Money


class RecordReceipt(Body):
    """Money received from a customer; what is not allocated to orders stays on account."""

    customer_id: UUID
    amount_minor: Money
    currency: Currency | None = None
    method: ReceiptMethod
    reference: Name | None = None
    received_at: Instant | None = None
    allocations: list[AllocationGiven] = Field(default_factory=list, max_length=200)

    def allocated(self) -> tuple[Allocation, ...]:
        """The allocations as the rules take them."""
        return tuple(Allocation(given.order_id, given.amount_minor) for given in self.allocations)


class AllocationView(View):
    """The part of a receipt that pays one order."""

    order_id: UUID
    amount_minor: int


class ReceiptView(View):
    """Money received, and what it pays."""

    id: UUID
    version: int
    customer_id: UUID
    amount_minor: int
    currency: str
    method: ReceiptMethod
    reference: str | None
    received_at: datetime
    allocations: list[AllocationView]
    allocated_minor: int
    on_account_minor: int
