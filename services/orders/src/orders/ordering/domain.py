"""The rules of orders: what may be ordered, at which price, and which way an order goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from orders.customers.domain import Customer, require_may_order
from shared.errors import Conflict, FieldError, Invalid
from shared.events.event import Event
from shared.events.orders import (
    Channel,
    OrderCancelled,
    OrderCompleted,
    OrderLine,
    OrderPlaced,
    OrderState,
    OrderStatus,
)

MOST_MINOR = 10**15
"""The largest amount of a line or an order, in minor units."""

MOVES: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    "placed": frozenset({"completed", "cancelled"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}


class PricedProduct(NamedTuple):
    """What an order needs to know of a product."""

    id: UUID
    sku: str
    list_price_minor: int
    active: bool


class Wanted(NamedTuple):
    """A line as it is asked for; `amount_minor` when another amount than today's list's was agreed.

    What the list said when that was agreed is `list_amount_minor`; where nobody says, there was no discount.
    """

    product_id: UUID
    quantity: int
    amount_minor: int | None = None
    list_amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order: what the customer pays, and what the list said then."""

    product_id: UUID
    quantity: int
    list_amount_minor: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it now is. Its lines and amounts never change; what is paid on it, and its status, do."""

    id: UUID
    version: int = 1
    number: int = 0
    customer_id: UUID
    status: OrderStatus = "placed"
    channel: Channel
    currency: str
    ordered_at: datetime
    lines: tuple[Line, ...]
    total_minor: int
    list_total_minor: int
    paid_minor: int = 0
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None

    def state(self) -> OrderState:
        """The order as other services see it."""
        return OrderState(
            id=self.id,
            version=self.version,
            number=order_number(self.number),
            status=self.status,
            channel=self.channel,
            ordered_at=self.ordered_at,
            currency=self.currency,
            total_minor=self.total_minor,
            list_total_minor=self.list_total_minor,
            lines=tuple(
                OrderLine(
                    product_id=line.product_id,
                    quantity=line.quantity,
                    list_amount_minor=line.list_amount_minor,
                    amount_minor=line.amount_minor,
                )
                for line in self.lines
            ),
        )


def order_number(number: int) -> str:
    """An order's number as people say it: O-000012."""
    return f"O-{number:06d}"


def place(
    order_id: UUID,
    customer: Customer,
    wanted: Sequence[Wanted],
    products: Mapping[UUID, PricedProduct],
    *,
    channel: Channel,
    currency: str,
    ordered_at: datetime,
    status: Literal["placed", "completed"] = "placed",
) -> Order:
    """An order of a customer who may order, of products that are sold.

    One that was completed in the past is recorded whatever has become of customer and products since.
    """
    if status == "placed":
        require_may_order(customer)
        _require_sold(wanted, products)
    lines = _price(wanted, products)
    order = Order(
        id=order_id,
        customer_id=customer.id,
        channel=channel,
        currency=currency,
        ordered_at=ordered_at,
        lines=lines,
        total_minor=sum(line.amount_minor for line in lines),
        list_total_minor=sum(line.list_amount_minor for line in lines),
    )
    _require_bearable(order)
    return order if status == "placed" else complete(order, ordered_at)[0]


def _require_bearable(order: Order) -> None:
    amount = max(order.total_minor, order.list_total_minor)
    if amount > MOST_MINOR:
        raise Invalid(
            f"The order amounts to {amount}; one order may amount to {MOST_MINOR} minor units. "
            "Divide it into several orders.",
            errors=[FieldError("lines", f"must amount to at most {MOST_MINOR} together", amount)],
        )


def _require_sold(wanted: Sequence[Wanted], products: Mapping[UUID, PricedProduct]) -> None:
    errors = []
    for n, line in enumerate(wanted):
        product = products.get(line.product_id)
        if product is not None and not product.active:
            rule = f"must be an active product; {product.sku} is not sold any more"
            errors.append(FieldError(f"lines.{n}.product_id", rule, line.product_id))
    if errors:
        raise Invalid("A product is not sold any more; choose another one, or activate it.", errors=errors)


def _price(wanted: Sequence[Wanted], products: Mapping[UUID, PricedProduct]) -> tuple[Line, ...]:
    lines = []
    errors = []
    for n, line in enumerate(wanted):
        product = products.get(line.product_id)
        if product is None:
            errors.append(FieldError(f"lines.{n}.product_id", "must be the id of a product", line.product_id))
            continue
        todays = product.list_price_minor * line.quantity
        amount = todays if line.amount_minor is None else line.amount_minor
        list_amount = amount if line.list_amount_minor is None else line.list_amount_minor
        if max(list_amount, amount) > MOST_MINOR:
            rule = f"must amount to at most {MOST_MINOR} at a list price of {product.list_price_minor}"
            errors.append(FieldError(f"lines.{n}.quantity", rule, line.quantity))
            continue
        lines.append(Line(product.id, line.quantity, list_amount, amount))
    if errors:
        count = "A line is" if len(errors) == 1 else f"{len(errors)} lines are"
        raise Invalid(
            f"{count} not acceptable; see errors, correct the order and send it again.", errors=errors
        )
    return tuple(lines)


def history(order: Order) -> list[Event]:
    """The events of an order that has just been stored: that it was placed, and completed if it is."""
    if order.completed_at is None:
        return [OrderPlaced(customer_id=order.customer_id, order=order.state())]
    as_placed = replace(order, version=1, status="placed", completed_at=None)
    return [
        OrderPlaced(customer_id=order.customer_id, order=as_placed.state()),
        OrderCompleted(customer_id=order.customer_id, order=order.state(), completed_at=order.completed_at),
    ]


def complete(order: Order, at: datetime) -> tuple[Order, OrderCompleted]:
    """Everything ordered was handed over."""
    _require_move(order, "completed")
    after = replace(order, status="completed", completed_at=at, version=order.version + 1)
    return after, OrderCompleted(customer_id=order.customer_id, order=after.state(), completed_at=at)


def cancel(order: Order, reason: str | None, at: datetime) -> tuple[Order, OrderCancelled]:
    """The order counts no longer. The reason is free text: it stays here, and is in no event."""
    _require_move(order, "cancelled")
    after = replace(
        order, status="cancelled", cancelled_at=at, cancel_reason=reason, version=order.version + 1
    )
    return after, OrderCancelled(customer_id=order.customer_id, order=after.state(), cancelled_at=at)


def _require_move(order: Order, to: OrderStatus) -> None:
    if to in MOVES[order.status]:
        return
    again = " again" if to == order.status else ""
    raise Conflict(
        f"Order {order_number(order.number)} is {order.status};"
        f" a {order.status} order cannot be {to}{again}.",
        current_status=order.status,
    )


class Said(NamedTuple):
    """What an imported row says of an order; what is None it leaves open."""

    customer_id: UUID
    channel: Channel
    currency: str
    ordered_at: datetime | None
    status: OrderStatus
    lines: tuple[Wanted, ...]


def require_same(there: Order, said: Said) -> None:
    """Refuse a row that says something else than the order that has its id.

    An order that has been completed or cancelled since it was imported is still the same; one that the row
    says is completed must be.
    """
    same = (
        (there.customer_id, there.channel, there.currency) == (said.customer_id, said.channel, said.currency)
        and said.ordered_at in (None, there.ordered_at)
        and said.status in ("placed", there.status)
        and len(said.lines) == len(there.lines)
        and all(map(_same_line, there.lines, said.lines))
    )
    if not same:
        raise Conflict(
            f"The order {there.id} is there, and says something else; give the row an id of its own.",
            errors=[FieldError("id", "is of an order that says something else; use a new id", there.id)],
        )


def _same_line(there: Line, said: Wanted) -> bool:
    return (
        (there.product_id, there.quantity) == (said.product_id, said.quantity)
        and said.amount_minor in (None, there.amount_minor)
        and said.list_amount_minor in (None, there.list_amount_minor)
    )
