"""Products: what a change is, and when an import says what is there."""

from dataclasses import replace
from uuid import UUID

import pytest
from pydantic import ValidationError

from orders.catalogue.domain import Product, change, differs, same_content
from orders.catalogue.schemas import AddProduct, ChangeProduct, ImportProduct

TEA = Product(id=UUID(int=1), sku="TEA", name="Tea", unit="box", list_price_minor=250)


def test_a_change_raises_the_version_and_names_what_changed() -> None:
    after, (event,) = change(TEA, {"list_price_minor": 300, "active": False, "name": "Tea"})
    assert (after.version, after.list_price_minor, after.active) == (2, 300, False)
    assert event.changed == ("active", "list_price_minor")
    assert event.product == after.state()


def test_a_change_to_what_is_there_is_none() -> None:
    assert change(TEA, {"name": "Tea", "active": True}) == (TEA, [])


def test_a_category_can_be_taken_away_and_a_price_cannot() -> None:
    assert ChangeProduct.model_validate_json('{"category": null}').changes() == {"category": None}
    with pytest.raises(ValidationError) as refused:
        ChangeProduct.model_validate_json('{"list_price_minor": null, "name": null}')
    assert [error["loc"] for error in refused.value.errors()] == [("name",), ("list_price_minor",)]


def test_an_imported_product_is_the_same_whatever_its_id_and_version() -> None:
    assert same_content(replace(TEA, version=7), replace(TEA, id=UUID(int=2)))
    assert not same_content(TEA, replace(TEA, list_price_minor=251))


def test_the_refusal_of_another_content_names_what_clashed() -> None:
    assert differs(TEA, replace(TEA, name="Coffee")).errors[0].field == "id"
    assert differs(TEA, replace(TEA, id=UUID(int=2), name="Coffee")).errors[0].field == "sku"


@pytest.mark.parametrize("sku", ["", "   ", "a\nb", "a\x00b", "x" * 65])
def test_an_sku_is_one_short_visible_line(sku: str) -> None:
    with pytest.raises(ValidationError):
        AddProduct(sku=sku, name="Tea", list_price_minor=1)


@pytest.mark.parametrize("price", [-1, 10**15 + 1, 1.5, "1", True])
def test_a_price_is_an_integer_from_nothing_to_the_limit(price: object) -> None:
    with pytest.raises(ValidationError):
        AddProduct.model_validate({"sku": "TEA", "name": "Tea", "list_price_minor": price})


def test_a_row_of_csv_is_read_as_a_product() -> None:
    row = ImportProduct.model_validate_strings(
        {
            "id": str(TEA.id),
            "sku": "TEA",
            "name": "Tea",
            "unit": "box",
            "list_price_minor": "250",
            "active": "true",
        }
    )
    assert row.product(TEA.id) == TEA
