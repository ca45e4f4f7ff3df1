"""Alembic's entrance; the work is shared by all services."""

import orders.app  # noqa: F401  (imported so that its tables are known)
from orders.tables import metadata
from shared.migrations import run

run(metadata)
