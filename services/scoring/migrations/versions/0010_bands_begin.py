"""Timers say whether a churn band begins when they ring: those customers are told of first."""

from shared.migrations import execute_script

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: None = None
depends_on: None = None

BANDS_BEGIN = """
ALTER TABLE customer_state ADD COLUMN begins_band boolean NOT NULL DEFAULT false;
CREATE INDEX customer_state_begins ON customer_state (due_at, customer_id) WHERE begins_band;
ALTER TABLE customer_score SET (fillfactor = 80);
"""


def upgrade() -> None:
    execute_script(BANDS_BEGIN)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
