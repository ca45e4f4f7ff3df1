"""Requests and answers of the catalogue."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

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


def _unchanged() -> Any:
    return None


class ChangeProduct(Body):
    """New values of a product; what is left out stays, and null takes a category away.

    The SKU stays for good: orders were placed by it.
    """

    name: Name = Field(default_factory=_unchanged)
    category: Category | None = None
    unit: Unit = Field(default_factory=_unchanged)
    list_price_minor: Minor = Field(default_factory=_unchanged)
    active: bool = Field(default_factory=_unchanged)

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
