"""Rebuilds, and states that something about the past has changed."""

from shared.migrations import execute_script

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: None = None
depends_on: None = None

REBUILDS = """
ALTER TABLE customer_state ADD COLUMN restated_from bytea;
CREATE INDEX customer_state_restated ON customer_state (customer_id) WHERE restated_from IS NOT NULL;
CREATE TABLE rebuild_run (
    id uuid PRIMARY KEY,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    phase text NOT NULL,
    events_total bigint NOT NULL,
    events_done bigint NOT NULL,
    events_per_second bigint NOT NULL,
    customers bigint,
    different bigint,
    kept bigint,
    problem text,
    finished_at timestamptz,
    CONSTRAINT rebuild_run_phase CHECK (phase IN ('waiting', 'replaying', 'done', 'failed'))
);
CREATE UNIQUE INDEX rebuild_run_open ON rebuild_run ((true)) WHERE phase IN ('waiting', 'replaying');
"""


def upgrade() -> None:
    execute_script(REBUILDS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
