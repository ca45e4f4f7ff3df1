"""Requests and answers of orders."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from orders.catalogue.schemas import Sku
from orders.ordering.domain import Order, Wanted, order_number
from shared.errors import FieldError, Invalid
from shared.events.orders import Channel, OrderStatus
from shared.web.fields import Body, Currency, Instant, Minor, Quantity, Text, View

MOST_LINES = 200

Reason = Annotated[
    Text, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(lambda t: t or None)
]


class PlaceLine(Body):
    """A product, and how many of it."""

    product_id: UUID
    quantity: Quantity


class PlaceOrder(Body):
    """An order of a customer. The price of a line is the product's list price times the quantity."""

    customer_id: UUID
    lines: Annotated[list[PlaceLine], Field(min_length=1, max_length=MOST_LINES)]
    channel: Channel
    ordered_at: Instant | None = None
    currency: Currency | None = None

    def wanted(self) -> list[Wanted]:
        """The lines as the rules take them."""
        return [Wanted(line.product_id, line.quantity) for line in self.lines]


class CancelOrder(Body):
    """Why an order is cancelled, if somebody said."""

    reason: Reason | None = None


class ImportLine(Body):
    """A line by product id or by SKU.

    `amount_minor` is what was paid, where it is not today's list amount; `list_amount_minor` what the
    list said then, where a discount was given.
    """

    product_id: UUID | None = None
    sku: Sku | None = None
    quantity: Quantity
    amount_minor: Minor | None = None
    list_amount_minor: Minor | None = None


class ImportOrder(Body):
    """A row of an import: one line's fields beside the order's, or (in JSON) several under `lines`.

    With an `id` of its own a row can be imported again without harm.
    """

    id: UUID | None = None
    customer_id: UUID
    channel: Channel
    ordered_at: Instant | None = None
    currency: Currency | None = None
    status: Literal["placed", "completed"] = "placed"
    product_id: UUID | None = None
    sku: Sku | None = None
    quantity: Quantity | None = None
    amount_minor: Minor | None = None
    list_amount_minor: Minor | None = None
    lines: Annotated[list[ImportLine], Field(min_length=1, max_length=MOST_LINES)] | None = None

    def all_lines(self) -> list[ImportLine]:
        """The lines, whichever way they were given; refuses a row that gives none, or both ways at once."""
        flat = {"product_id", "sku", "quantity", "amount_minor", "list_amount_minor"} & self.model_fields_set
        if self.lines is not None and flat:
            raise _invalid(min(flat), "must not stand beside lines; put it into one of them")
        lines = self.lines if self.lines is not None else [self._only_line()]
        for n, line in enumerate(lines):
            if (line.product_id is None) == (line.sku is None):
                raise _invalid(self.field(n, "sku"), "either the sku or the product_id must be given")
        return lines

    def field(self, n: int, name: str) -> str:
        """What the row calls a field of its `n`th line."""
        return name if self.lines is None else f"lines.{n}.{name}"

    def _only_line(self) -> ImportLine:
        if self.quantity is None:
            raise _invalid("quantity", "missing: this is required")
        return ImportLine(
            product_id=self.product_id,
            sku=self.sku,
            quantity=self.quantity,
            amount_minor=self.amount_minor,
            list_amount_minor=self.list_amount_minor,
        )


def _invalid(field: str, rule: str) -> Invalid:
    return Invalid(f"{field}: {rule}", errors=[FieldError(field, rule)])


class LineView(View):
    """A line: `amount_minor` is what the customer pays, `list_amount_minor` what the list said then."""

    product_id: UUID
    quantity: int
    list_amount_minor: int
    amount_minor: int


class OrderView(View):
    """An order."""

    id: UUID
    version: int
    number: str
    customer_id: UUID
    status: OrderStatus
    channel: Channel
    currency: str
    ordered_at: datetime
    lines: list[LineView]
    total_minor: int
    list_total_minor: int
    paid_minor: int
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancel_reason: str | None

    @classmethod
    def of(cls, order: Order) -> Self:
        """The order as its readers see it."""
        return cls(
            id=order.id,
            version=order.version,
            number=order_number(order.number),
            customer_id=order.customer_id,
            status=order.status,
            channel=order.channel,
            currency=order.currency,
            ordered_at=order.ordered_at,
            lines=[LineView.model_validate(line) for line in order.lines],
            total_minor=order.total_minor,
            list_total_minor=order.list_total_minor,
            paid_minor=order.paid_minor,
            completed_at=order.completed_at,
            cancelled_at=order.cancelled_at,
            cancel_reason=order.cancel_reason,
        )
