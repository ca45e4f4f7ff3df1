"""Alembic's entrance; the work is shared by all services."""

import customer.app  # noqa: F401  (imported so that its tables are known)
from customer.tables import metadata
from shared.migrations import run

run(metadata)
