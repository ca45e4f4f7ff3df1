"""The customer service, put together: who our customers are."""

from pathlib import Path

from customer.archive.importing import router as import_router
from customer.archive.router import router as archive_router
from customer.settings import CustomerSettings
from customer.tables import metadata
from shared.service import Service

SERVICE = Service(
    name="customer",
    title="Patron customers",
    settings=CustomerSettings,
    tables=metadata,
    routers=[archive_router, import_router],
    handlers=lambda _settings: {},
    migrations=Path(__file__).parents[2] / "migrations",
)
