"""A rebuild can be given up."""

from shared.migrations import execute_script

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: None = None
depends_on: None = None

CANCELLED = """
ALTER TABLE rebuild_run DROP CONSTRAINT rebuild_run_phase,
    ADD CONSTRAINT rebuild_run_phase CHECK (phase IN ('waiting', 'replaying', 'done', 'failed', 'cancelled'));
"""


def upgrade() -> None:
    execute_script(CANCELLED)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
