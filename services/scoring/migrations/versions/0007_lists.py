"""Figures are read by what has changed, and looked at again when they will have."""

from shared.migrations import execute_script

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: None = None
depends_on: None = None

LISTS = """
DROP INDEX customer_score_churn, customer_score_loyalty, customer_score_value, customer_score_band_churn,
    customer_score_band_loyalty, customer_score_band_value, customer_score_age;
ALTER TABLE customer_score
    ALTER COLUMN band DROP NOT NULL,
    ADD COLUMN changed bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;
CREATE INDEX customer_score_changed ON customer_score (changed);
CREATE INDEX customer_score_model ON customer_score (model_version);
-- Timers so far told of bands only, not of figures.
UPDATE customer_state s SET due_at = least(s.due_at, now())
FROM customer_score c WHERE c.customer_id = s.customer_id;
"""


def upgrade() -> None:
    execute_script(LISTS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
