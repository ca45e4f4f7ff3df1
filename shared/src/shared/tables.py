"""The tables every service's database has, whatever the service does: the event path and idempotency."""

from sqlalchemy.orm import registry
from sqlmodel import SQLModel

_registry = registry()


class SharedTable(SQLModel, registry=_registry):
    """A row of a table that every service's database has; kept apart from the services' own tables."""

    __abstract__ = True


shared_metadata = _registry.metadata
