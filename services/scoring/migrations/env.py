"""Alembic's entrance; the work is shared by all services."""

import scoring.app  # noqa: F401  (imported so that its tables are known)
from scoring.tables import metadata
from shared.migrations import run

run(metadata)
