"""Every version of a fact is kept, with what tells when it was known."""

from shared.migrations import execute_script

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: None = None
depends_on: None = None

# Of what is there already nobody knows since when: a rebuild tells the sequences.
FACT_VERSIONS = "".join(
    f"""
ALTER TABLE {table}
    ADD COLUMN seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN known_from timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN known_until timestamptz,
    DROP CONSTRAINT {table}_pkey,
    ADD PRIMARY KEY ({key}, version);
ALTER TABLE {table} ALTER COLUMN seq DROP DEFAULT, ALTER COLUMN at DROP DEFAULT;
"""
    for table, key in (
        ("customer_fact", "customer_id"),
        ("purchase_fact", "order_id"),
        ("complaint_fact", "ticket_id"),
    )
)


def upgrade() -> None:
    execute_script(FACT_VERSIONS)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
