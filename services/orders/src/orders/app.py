"""Orders, put together: what it answers, listens to and stores."""

from pathlib import Path

from fastapi import FastAPI

import orders.catalogue.tables
import orders.customers.tables
import orders.ordering.tables
import orders.receipts.tables  # noqa: F401  (imported so that their tables are known)
from orders.catalogue.router import router as catalogue
from orders.customers.handlers import copy_customers
from orders.ordering.router import router as ordering
from orders.receipts.router import router as receipts
from orders.tables import metadata
from shared import service
from shared.customers import CustomerDirectory
from shared.events.customer import CustomerChanged, CustomerCreated
from shared.service import Service
from shared.settings import ServiceSettings

SERVICE = Service(
    name="orders",
    title="Patron orders",
    settings=ServiceSettings,
    tables=metadata,
    routers=[catalogue, ordering, receipts],
    handlers=lambda _settings: {CustomerCreated: copy_customers, CustomerChanged: copy_customers},
    resources=lambda settings, _db: {"customer_directory": CustomerDirectory(settings.customer_url)},
    migrations=Path(__file__).parents[2] / "migrations",
)


def api() -> FastAPI:
    """The HTTP side, with the settings of the environment."""
    return service.api(SERVICE)
