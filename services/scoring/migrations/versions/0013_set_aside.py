"""Who cannot be scored with the model that is served is passed over until they are tried again."""

from shared.migrations import execute_script

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: None = None
depends_on: None = None

SET_ASIDE = """
ALTER TABLE customer_score ADD COLUMN aside_until timestamptz;
"""


def upgrade() -> None:
    execute_script(SET_ASIDE)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
