"""The service desk: what it listens to, what it answers, what it keeps."""

from pathlib import Path

import service_desk.customers.tables  # noqa: F401  (imported so that its table is known)
from service_desk.comments.router import router as comments_router
from service_desk.customers.handlers import copy_customers
from service_desk.tables import metadata
from service_desk.tickets.router import router as tickets_router
from shared.customers import CustomerDirectory
from shared.events.customer import CustomerChanged, CustomerCreated
from shared.service import Service
from shared.settings import ServiceSettings

SERVICE = Service(
    name="service_desk",
    title="Patron service desk",
    settings=ServiceSettings,
    tables=metadata,
    routers=[tickets_router, comments_router],
    handlers=lambda _settings: {CustomerCreated: copy_customers, CustomerChanged: copy_customers},
    resources=lambda settings, _db: {"customer_directory": CustomerDirectory(settings.customer_url)},
    migrations=Path(__file__).parents[2] / "migrations",
)
