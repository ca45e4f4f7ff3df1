"""Alembic's entrance; the work is shared by all services."""

import service_desk.app  # noqa: F401  (imported so that its tables are known)
from service_desk.tables import metadata
from shared.migrations import run

run(metadata)
