"""Comparisons of the methods of lifetime value."""

from shared.migrations import execute_script

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: None = None
depends_on: None = None

VALUE_COMPARISON = """
CREATE TABLE value_comparison (
    version integer PRIMARY KEY,
    compared_at timestamptz NOT NULL,
    model_version integer NOT NULL,
    one_in integer NOT NULL,
    backtest jsonb NOT NULL
);
"""


def upgrade() -> None:
    execute_script(VALUE_COMPARISON)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
