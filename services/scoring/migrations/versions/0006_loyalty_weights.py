"""Weights of the loyalty index, every version that was set."""

from shared.migrations import execute_script

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: None = None
depends_on: None = None

LOYALTY_WEIGHTS = """
CREATE TABLE loyalty_weights (
    version integer PRIMARY KEY,
    valid_from timestamptz NOT NULL,
    set_by text NOT NULL,
    weights jsonb NOT NULL
);
"""


def upgrade() -> None:
    execute_script(LOYALTY_WEIGHTS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
