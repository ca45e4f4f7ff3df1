"""Lists hear of a crash, after which transactions have numbers that were given out before."""

from shared.migrations import execute_script

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: None = None
depends_on: None = None

SERVER_RUNS = """
CREATE UNLOGGED TABLE server_run (
    only_one boolean PRIMARY KEY DEFAULT true CONSTRAINT server_run_only_one CHECK (only_one),
    id uuid NOT NULL
);
"""


def upgrade() -> None:
    execute_script(SERVER_RUNS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
