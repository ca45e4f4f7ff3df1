"""What may be ordered, at which price, and which way an order goes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.customers.domain import Customer
from orders.ordering.domain import (
    MOST_MINOR,
    Order,
    PricedProduct,
    Said,
    Wanted,
    cancel,
    complete,
    history,
    order_number,
    place,
    require_same,
)
from shared.errors import Conflict, Invalid
from shared.events.event import encode
from shared.events.orders import OrderCancelled, OrderCompleted, OrderPlaced

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(days=40)
ANN = Customer(UUID(int=1), 1, "active")
TEA = PricedProduct(UUID(int=10), "TEA", 250, True)
POT = PricedProduct(UUID(int=11), "POT", 3000, True)
GONE = PricedProduct(UUID(int=12), "GONE", 100, False)
PRODUCTS = {product.id: product for product in (TEA, POT, GONE)}
UNKNOWN = UUID(int=99)


def placed(*wanted: Wanted, customer: Customer = ANN, **more: object) -> Order:
    settings: dict[str, object] = {"channel": "web", "currency": "USD", "ordered_at": NOW, **more}
    return place(UUID(int=7), customer, wanted or (Wanted(TEA.id, 2),), PRODUCTS, **settings)  # type: ignore[arg-type]


def fields(refused: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [error.field for error in refused.value.errors]


def test_a_line_costs_list_price_times_quantity() -> None:
    order = placed(Wanted(TEA.id, 3), Wanted(POT.id, 1))
    assert [line.amount_minor for line in order.lines] == [750, 3000]
    assert (order.total_minor, order.list_total_minor, order.status, order.version) == (
        3750,
        3750,
        "placed",
        1,
    )


def test_an_agreed_amount_keeps_the_list_amount_beside_it() -> None:
    order = placed(Wanted(TEA.id, 4, amount_minor=900, list_amount_minor=1000))
    assert (order.total_minor, order.list_total_minor) == (900, 1000)


def test_an_amount_of_the_past_is_no_discount_unless_somebody_says_what_the_list_said() -> None:
    order = placed(Wanted(TEA.id, 4, amount_minor=900))
    assert (order.total_minor, order.list_total_minor) == (900, 900)


def test_the_same_product_may_stand_in_two_lines() -> None:
    assert placed(Wanted(TEA.id, 1), Wanted(TEA.id, 1)).total_minor == 500


def test_every_unknown_product_is_named_by_its_line() -> None:
    with pytest.raises(Invalid) as refused:
        placed(Wanted(TEA.id, 1), Wanted(UNKNOWN, 1), Wanted(UNKNOWN, 2))
    assert fields(refused) == ["lines.1.product_id", "lines.2.product_id"]


def test_a_product_no_longer_sold_is_refused_by_its_sku() -> None:
    with pytest.raises(Invalid) as refused:
        placed(Wanted(GONE.id, 1))
    assert fields(refused) == ["lines.0.product_id"]
    assert "GONE" in refused.value.errors[0].rule


@pytest.mark.parametrize(
    "customer",
    [Customer(ANN.id, 1, "inactive"), Customer(ANN.id, 1, "active", "eliminated")],
    ids=["inactive", "eliminated"],
)
def test_nothing_is_sold_to_customers_with_whom_it_is_over(customer: Customer) -> None:
    with pytest.raises(Invalid) as refused:
        placed(customer=customer)
    assert fields(refused) == ["customer_id"]


@pytest.mark.parametrize("class_", [None, "vip", "key", "quality", "general", "restricted"])
def test_every_other_class_may_order(class_: str | None) -> None:
    assert placed(customer=Customer(ANN.id, 1, "active", class_)).status == "placed"


def test_what_was_completed_in_the_past_is_recorded_whatever_became_of_customer_and_product() -> None:
    left = Customer(ANN.id, 2, "inactive", "eliminated")
    order = placed(Wanted(GONE.id, 1), customer=left, status="completed", ordered_at=EARLIER)
    assert (order.status, order.completed_at, order.version) == ("completed", EARLIER, 2)


def test_a_line_beyond_the_limit_is_refused_by_its_quantity() -> None:
    dear = {TEA.id: TEA._replace(list_price_minor=MOST_MINOR)}
    with pytest.raises(Invalid) as refused:
        place(UUID(int=7), ANN, [Wanted(TEA.id, 2)], dear, channel="web", currency="USD", ordered_at=NOW)
    assert fields(refused) == ["lines.0.quantity"]


def test_an_order_beyond_the_limit_is_refused_although_each_line_is_within_it() -> None:
    dear = {TEA.id: TEA._replace(list_price_minor=MOST_MINOR)}
    with pytest.raises(Invalid) as refused:
        place(UUID(int=7), ANN, [Wanted(TEA.id, 1)] * 2, dear, channel="web", currency="USD", ordered_at=NOW)
    assert fields(refused) == ["lines"]
    assert str(MOST_MINOR) in refused.value.detail


@given(
    st.lists(
        st.builds(
            Wanted,
            st.sampled_from([TEA.id, POT.id]),
            st.integers(1, 10**6),
            st.none() | st.integers(0, 10**12),
            st.none() | st.integers(0, 10**12),
        ),
        min_size=1,
        max_size=200,
    )
)
def test_totals_are_the_sums_of_the_lines_and_every_order_can_be_published(wanted: list[Wanted]) -> None:
    order = placed(*wanted)
    assert order.total_minor == sum(line.amount_minor for line in order.lines)
    assert order.list_total_minor == sum(line.list_amount_minor for line in order.lines)
    assert [line.quantity for line in order.lines] == [line.quantity for line in wanted]
    for event in history(order):
        encode(event)


def test_completing_and_cancelling_raise_the_version_and_keep_the_lines() -> None:
    order = placed()
    for moved, event in (complete(order, NOW), cancel(order, "changed my mind", NOW)):
        assert (moved.version, event.order.version, event.order.status) == (2, 2, moved.status)
        assert moved.lines == order.lines
        assert len(event.order.lines) == 1


def test_the_reason_of_a_cancellation_is_kept_and_not_published() -> None:
    order, event = cancel(placed(), "Ann Smith called", NOW)
    assert order.cancel_reason == "Ann Smith called"
    assert b"Ann" not in encode(event)


@pytest.mark.parametrize("first", ["completed", "cancelled"])
@pytest.mark.parametrize("then", ["completed", "cancelled"])
def test_a_finished_order_goes_nowhere_and_the_refusal_names_the_move(first: str, then: str) -> None:
    moves = {"completed": lambda o: complete(o, NOW)[0], "cancelled": lambda o: cancel(o, None, NOW)[0]}
    order = moves[first](placed())
    with pytest.raises(Conflict) as refused:
        moves[then](order)
    assert f"Order O-000000 is {first}; a {first} order cannot be {then}" in refused.value.detail


@given(st.lists(st.sampled_from(["completed", "cancelled"]), max_size=6))
def test_whatever_is_tried_at_most_one_move_succeeds(tries: list[str]) -> None:
    order, succeeded = placed(), 0
    for to in tries:
        try:
            order = complete(order, NOW)[0] if to == "completed" else cancel(order, None, NOW)[0]
        except Conflict:
            continue
        succeeded += 1
    assert succeeded == min(len(tries), 1)
    assert order.version == 1 + succeeded


def test_a_new_order_tells_that_it_was_placed() -> None:
    (event,) = history(placed())
    assert isinstance(event, OrderPlaced)
    assert (event.key, event.order.status, event.order.version) == (str(ANN.id), "placed", 1)


def test_one_recorded_as_completed_tells_both_in_order() -> None:
    first, second = history(placed(status="completed", ordered_at=EARLIER))
    assert isinstance(first, OrderPlaced)
    assert isinstance(second, OrderCompleted)
    assert (first.order.status, first.order.version) == ("placed", 1)
    assert (second.order.status, second.order.version, second.completed_at) == ("completed", 2, EARLIER)


def test_a_cancelled_order_tells_when() -> None:
    event = cancel(placed(), None, NOW)[1]
    assert isinstance(event, OrderCancelled)
    assert event.cancelled_at == NOW


@pytest.mark.parametrize(("number", "words"), [(12, "O-000012"), (1234567, "O-1234567")])
def test_numbers_are_read_as_people_say_them(number: int, words: str) -> None:
    assert order_number(number) == words


SAID = Said(ANN.id, "web", "USD", NOW, "placed", (Wanted(TEA.id, 2, 500),))


@pytest.mark.parametrize(
    "said",
    [SAID, SAID._replace(ordered_at=None), SAID._replace(lines=(Wanted(TEA.id, 2),))],
    ids=["alike", "time left open", "amount left open"],
)
def test_a_row_that_says_what_is_there_is_the_same(said: Said) -> None:
    require_same(placed(), said)


def test_an_order_that_went_on_since_it_was_imported_is_still_the_same() -> None:
    require_same(cancel(placed(), None, NOW)[0], SAID)
    require_same(complete(placed(), NOW)[0], SAID._replace(status="completed"))


@pytest.mark.parametrize(
    "said",
    [
        SAID._replace(customer_id=UNKNOWN),
        SAID._replace(channel="phone"),
        SAID._replace(ordered_at=EARLIER),
        SAID._replace(status="completed"),
        SAID._replace(lines=(Wanted(POT.id, 2, 500),)),
        SAID._replace(lines=(Wanted(TEA.id, 3, 500),)),
        SAID._replace(lines=(Wanted(TEA.id, 2, 499),)),
        SAID._replace(lines=SAID.lines * 2),
    ],
    ids=["customer", "channel", "time", "status", "product", "quantity", "amount", "lines"],
)
def test_a_row_that_says_something_else_is_refused_by_its_id(said: Said) -> None:
    with pytest.raises(Conflict) as refused:
        require_same(placed(), said)
    assert refused.value.errors[0].field == "id"
