"""The tables of the event path."""

from shared.migrations import SHARED_TABLES_V1, execute_script

revision: str = "0001"
down_revision: str | None = None
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    execute_script(SHARED_TABLES_V1)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
