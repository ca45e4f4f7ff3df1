"""Products: what can be ordered, at which list price."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from shared.errors import Conflict, FieldError
from shared.events.orders import ProductAdded, ProductChanged, ProductState


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product as it now is."""

    id: UUID
    version: int = 1
    sku: str
    name: str
    category: str | None = None
    unit: str
    list_price_minor: int
    active: bool = True

    def state(self) -> ProductState:
        """The product as other services see it."""
        return ProductState(
            id=self.id,
            version=self.version,
            sku=self.sku,
            name=self.name,
            category=self.category,
            unit=self.unit,
            list_price_minor=self.list_price_minor,
            active=self.active,
        )


def added(product: Product) -> ProductAdded:
    """The event of a new product."""
    return ProductAdded(product_id=product.id, product=product.state())


def change(product: Product, changes: dict[str, Any]) -> tuple[Product, list[ProductChanged]]:
    """The product with other values; no event when they are the ones it had."""
    changed = tuple(sorted(name for name, value in changes.items() if getattr(product, name) != value))
    if not changed:
        return product, []
    after = replace(product, **changes, version=product.version + 1)
    return after, [ProductChanged(product_id=after.id, product=after.state(), changed=changed)]


def sku_taken(sku: str) -> Conflict:
    """A SKU names one product."""
    return Conflict(
        f"There is a product with the SKU {sku} already; change that one, or choose another SKU.",
        errors=[FieldError("sku", "must be of no other product", sku)],
    )


def same_content(there: Product, imported: Product) -> bool:
    """Whether an imported product says what is there already."""
    return replace(imported, id=there.id, version=there.version) == there


def differs(there: Product, imported: Product) -> Conflict:
    """An import adds products; it does not change those there are."""
    field = "id" if there.id == imported.id else "sku"
    return Conflict(
        f"The product {there.sku} is there with other values; change it with PATCH /v1/products/{there.id}.",
        errors=[
            FieldError(
                field, "is of a product that is there with other values; PATCH it", getattr(imported, field)
            )
        ],
    )
