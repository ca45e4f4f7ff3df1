"""Requests and answers of the catalogue."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from orders.catalogue.domain import Product
from shared.web.fields import Body, Currency, Minor, Name, View

Sku = Annotated[Name, StringConstraints(max_length=64)]
Category = Annotated[Name, StringConstraints(max_length=100)]
Unit = Annotated[Name, StringConstraints(max_length=32)]


class AddProduct(Body):
    """A new product."""

    sku: Sku
    name: Name
    category: Category | None = None
    unit: Unit = "piece"
    list_price_minor: Minor
    currency: Currency | None = None
    active: bool = True

    def product(self, id_: UUID) -> Product:
        """The product that is meant."""
        return Product(id=id_, **self.model_dump(exclude={"id", "currency"}))


class ImportProduct(AddProduct):
    """A row of an import; with an `id` of its own it can be imported again without harm."""

    id: UUID | None = None


class ChangeProduct(Body):
    """New values of a product; what is left out stays. The SKU stays for good: orders were placed by it."""

    name: Name | None = None
    category: Category | None = None
    unit: Unit | None = None
    list_price_minor: Minor | None = None
    active: bool | None = None

    @model_validator(mode="after")
    def _only_category_can_be_taken_away(self) -> Self:
        for name in sorted(self.model_fields_set - {"category"}):
            if getattr(self, name) is None:
                raise PydanticCustomError("null", "{name} must have a value", {"name": name})
        return self

    def changes(self) -> dict[str, Any]:
        """The values that were given."""
        return self.model_dump(exclude_unset=True)


class ProductView(View):
    """A product."""

    id: UUID
    version: int
    sku: str
    name: str
    category: str | None
    unit: str
    list_price_minor: int
    active: bool
