"""What the orders service publishes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from shared.events.event import Event, declare

OrderStatus = Literal["placed", "completed", "cancelled"]
Channel = Literal["store", "web", "phone", "mobile", "partner"]
ReceiptMethod = Literal["cash", "card", "bank_transfer", "cheque", "other"]
Minor = Annotated[int, Meta(ge=0, le=10**15)]


class ProductState(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it now is."""

    id: UUID
    version: int
    sku: str
    name: str
    category: str | None = None
    unit: str
    list_price_minor: Minor
    active: bool


@declare("orders.product_added.v1", topic="patron.orders.reference", key="product_id")
class ProductAdded(Event, frozen=True, kw_only=True):
    """A product can be ordered."""

    product_id: UUID
    product: ProductState


@declare("orders.product_changed.v1", topic="patron.orders.reference", key="product_id")
class ProductChanged(Event, frozen=True, kw_only=True):
    """A product was changed; `changed` names the fields."""

    product_id: UUID
    product: ProductState
    changed: tuple[str, ...]


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `amount_minor` is what the customer pays for it, `list_amount_minor` what the list says."""

    product_id: UUID
    quantity: Annotated[int, Meta(ge=1)]
    list_amount_minor: Minor
    amount_minor: Minor


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it now is."""

    id: UUID
    version: int
    number: str
    status: OrderStatus
    channel: Channel
    ordered_at: datetime
    currency: str
    total_minor: Minor
    list_total_minor: Minor
    lines: tuple[OrderLine, ...]


@declare("orders.order_placed.v1", topic="patron.orders", key="customer_id")
class OrderPlaced(Event, frozen=True, kw_only=True):
    """A customer bought: the purchase counts from now on."""

    customer_id: UUID
    order: OrderState


@declare("orders.order_completed.v1", topic="patron.orders", key="customer_id")
class OrderCompleted(Event, frozen=True, kw_only=True):
    """Everything ordered was handed over."""

    customer_id: UUID
    order: OrderState
    completed_at: datetime


@declare("orders.order_cancelled.v1", topic="patron.orders", key="customer_id")
class OrderCancelled(Event, frozen=True, kw_only=True):
    """The purchase counts no longer, as if it had not been."""

    customer_id: UUID
    order: OrderState
    cancelled_at: datetime


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a receipt that pays one order."""

    order_id: UUID
    amount_minor: Minor


class ReceiptState(msgspec.Struct, frozen=True, kw_only=True):
    """Money received, and what it pays; the remainder stays on account."""

    id: UUID
    version: int
    amount_minor: Minor
    currency: str
    method: ReceiptMethod
    received_at: datetime
    allocations: tuple[Allocation, ...]


@declare("orders.receipt_recorded.v1", topic="patron.orders", key="customer_id")
class ReceiptRecorded(Event, frozen=True, kw_only=True):
    """Money came in from a customer."""

    customer_id: UUID
    receipt: ReceiptState
