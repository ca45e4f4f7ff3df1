"""What is unsent has a table of its own."""

from shared.migrations import UNSENT_APART, execute_script

revision: str = "0003"
down_revision: str = "0002"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    execute_script(UNSENT_APART)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
