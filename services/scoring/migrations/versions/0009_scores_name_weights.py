"""Figures in lists name the loyalty weights they were computed with, and follow when others are set."""

from shared.migrations import execute_script

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: None = None
depends_on: None = None

SCORES_NAME_WEIGHTS = """
DROP INDEX customer_score_model;
ALTER TABLE customer_score ADD COLUMN weights_version integer NOT NULL DEFAULT 1;
ALTER TABLE customer_score ALTER COLUMN weights_version DROP DEFAULT;
CREATE INDEX customer_score_computed_with ON customer_score (model_version, weights_version);
"""


def upgrade() -> None:
    execute_script(SCORES_NAME_WEIGHTS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
