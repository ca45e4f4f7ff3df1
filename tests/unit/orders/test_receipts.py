"""Money received: never more allocated than received, nor than an order still owes."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.ordering.domain import Line, Order, cancel, complete
from orders.receipts.domain import Allocation, Receipt, record
from shared.errors import Invalid
from shared.events.event import encode

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, BOB = UUID(int=1), UUID(int=2)


def order(n: int, total: int = 1000, paid: int = 0, customer_id: UUID = ANN) -> Order:
    return Order(
        id=UUID(int=n),
        number=n,
        customer_id=customer_id,
        channel="web",
        currency="USD",
        ordered_at=NOW,
        lines=(Line(UUID(int=10), 1, total, total),),
        total_minor=total,
        list_total_minor=total,
        paid_minor=paid,
    )


def receipt(amount: int, *allocations: tuple[int, int]) -> Receipt:
    return Receipt(
        id=UUID(int=5),
        customer_id=ANN,
        amount_minor=amount,
        currency="USD",
        method="card",
        reference="Ann Smith, invoice 7",
        received_at=NOW,
        allocations=tuple(Allocation(UUID(int=n), part) for n, part in allocations),
    )


def refusal(given: Receipt, *orders: Order) -> list[str]:
    with pytest.raises(Invalid) as refused:
        record(given, {o.id: o for o in orders})
    return [error.field for error in refused.value.errors]


def test_what_pays_no_order_stays_on_account() -> None:
    given = receipt(1500, (7, 600))
    record(given, {UUID(int=7): order(7)})
    assert (given.allocated_minor, given.on_account_minor) == (600, 900)


def test_a_receipt_may_pay_several_orders_and_their_last_cent() -> None:
    event = record(receipt(1500, (7, 1000), (8, 500)), {o.id: o for o in (order(7), order(8, paid=500))})
    assert [allocation.amount_minor for allocation in event.receipt.allocations] == [1000, 500]


def test_a_completed_order_can_still_be_paid() -> None:
    record(receipt(10, (7, 10)), {UUID(int=7): complete(order(7), NOW)[0]})


def test_never_more_is_allocated_than_received() -> None:
    assert refusal(receipt(999, (7, 500), (8, 500)), order(7), order(8)) == ["allocations"]


def test_never_more_is_allocated_than_the_order_still_owes() -> None:
    assert refusal(receipt(1000, (7, 401)), order(7, paid=600)) == ["allocations.0.amount_minor"]


def test_an_order_stands_in_a_receipt_once() -> None:
    fields = ["allocations.0.order_id", "allocations.2.order_id"]
    assert refusal(receipt(1000, (7, 1), (8, 1), (7, 1)), order(7), order(8)) == fields


def test_the_orders_of_others_and_unknown_ones_are_told_alike() -> None:
    fields = ["allocations.0.order_id", "allocations.1.order_id"]
    assert refusal(receipt(1000, (7, 1), (8, 1)), order(7, customer_id=BOB)) == fields


def test_a_cancelled_order_owes_nothing() -> None:
    assert refusal(receipt(1000, (7, 1)), cancel(order(7), None, NOW)[0]) == ["allocations.0.order_id"]


def test_the_reference_is_not_published() -> None:
    assert b"Smith" not in encode(record(receipt(10), {}))


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), max_size=20))
def test_over_any_receipts_an_order_is_never_paid_more_than_its_total(given: list[tuple[int, int]]) -> None:
    there = order(7)
    for amount, part in given:
        try:
            record(receipt(amount, (7, part)), {there.id: there})
        except Invalid:
            assert part > amount or part > there.total_minor - there.paid_minor
            continue
        there = replace(there, paid_minor=there.paid_minor + part)
    assert 0 <= there.paid_minor <= there.total_minor
