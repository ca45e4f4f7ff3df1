"""What every table of this service belongs to."""

from sqlalchemy.orm import registry
from sqlmodel import SQLModel

_registry = registry()


class CustomerTable(SQLModel, registry=_registry):
    """A row of this service's database."""

    __abstract__ = True


metadata = _registry.metadata
