"""The newest complaints of a customer are found without sorting all of them."""

from shared.migrations import execute_script

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: None = None
depends_on: None = None

NEWEST_COMPLAINTS = """
DROP INDEX complaint_fact_customer;
CREATE INDEX complaint_fact_customer ON complaint_fact (customer_id, ((spells -> 0) -> 0) DESC, ticket_id);
"""


def upgrade() -> None:
    execute_script(NEWEST_COMPLAINTS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
