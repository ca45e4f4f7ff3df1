"""Rows of an order import: one line beside the order's fields, or several under `lines`."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import ValidationError

from orders.ordering.schemas import ImportOrder
from shared.errors import Invalid

ORDER = {"customer_id": str(UUID(int=1)), "channel": "store"}


def row(**values: Any) -> ImportOrder:
    return ImportOrder.model_validate_json(msgspec.json.encode({**ORDER, **values}))


def refusal(given: ImportOrder) -> str:
    with pytest.raises(Invalid) as refused:
        given.all_lines()
    return refused.value.errors[0].field


def test_a_flat_row_is_an_order_of_one_line() -> None:
    (line,) = row(sku="TEA", quantity=2, amount_minor=450).all_lines()
    assert (line.sku, line.quantity, line.amount_minor) == ("TEA", 2, 450)


def test_a_row_of_csv_is_read_alike() -> None:
    cells = {**ORDER, "sku": "TEA", "quantity": "2", "ordered_at": "2026-03-01T09:30:00+08:00"}
    read = ImportOrder.model_validate_strings(cells)
    assert read.all_lines() == row(sku="TEA", quantity=2).all_lines()
    assert read.ordered_at is not None
    assert read.ordered_at.isoformat() == "2026-03-01T01:30:00+00:00"


def test_several_lines_stand_under_lines() -> None:
    lines = [{"sku": "TEA", "quantity": 1}, {"product_id": str(UUID(int=9)), "quantity": 2}]
    assert [line.quantity for line in row(lines=lines).all_lines()] == [1, 2]


def test_a_row_has_its_lines_in_one_way_only() -> None:
    assert refusal(row(lines=[{"sku": "TEA", "quantity": 1}], quantity=2)) == "quantity"


def test_a_row_without_quantity_or_product_is_refused_by_name() -> None:
    assert refusal(row(sku="TEA")) == "quantity"
    assert refusal(row(quantity=1)) == "sku"
    assert refusal(row(quantity=1, sku="TEA", product_id=str(UUID(int=9)))) == "sku"
    assert refusal(row(lines=[{"quantity": 1}])) == "lines.0.sku"


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 0}, {"quantity": 10**6 + 1}, {"quantity": 10**30}, {"amount_minor": -1},
        {"status": "cancelled"}, {"channel": "fax"}, {"currency": "usd"}, {"ordered_at": "yesterday"},
        {"ordered_at": "2026-03-01T09:30:00"}, {"lines": []}, {"note": "x"}, {"customer_id": "7"},
    ],
)  # fmt: skip
def test_what_no_order_can_have_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        row(**{"sku": "TEA", "quantity": 1, **wrong})
