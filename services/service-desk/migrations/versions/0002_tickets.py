"""Customers as the desk knows them, tickets with their spells and history, comments."""

from shared.migrations import execute_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    execute_script("""
CREATE TABLE customer (
    id uuid PRIMARY KEY,
    version bigint NOT NULL CHECK (version >= 1),
    status text NOT NULL,
    level text
);
CREATE SEQUENCE ticket_number;
CREATE TABLE ticket (
    id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version >= 1),
    number text NOT NULL,
    customer_id uuid NOT NULL REFERENCES customer,
    kind text NOT NULL CHECK (kind IN ('complaint', 'inquiry', 'after_sales', 'suggestion', 'praise')),
    subject text NOT NULL CHECK (subject <> ''),
    description text,
    severity text NOT NULL CHECK (severity IN ('minor', 'major', 'critical')),
    status text NOT NULL CHECK (status IN ('open', 'resolved')),
    channel text CHECK (channel IN ('phone', 'email', 'chat', 'web', 'mobile', 'store', 'partner')),
    priority text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    order_id uuid,
    product_id uuid,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    imported_as bytea,
    CONSTRAINT ticket_number_key UNIQUE (number)
);
CREATE INDEX ticket_opened ON ticket (opened_at, id);
CREATE INDEX ticket_customer ON ticket (customer_id, opened_at, id);
CREATE INDEX ticket_status ON ticket (status, opened_at, id);
CREATE INDEX ticket_kind ON ticket (kind, opened_at, id);
CREATE INDEX ticket_severity ON ticket (severity, opened_at, id);
CREATE TABLE ticket_spell (
    ticket_id uuid NOT NULL REFERENCES ticket,
    n smallint NOT NULL CHECK (n >= 1),
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    outcome text CHECK (outcome IN ('recovered', 'mishandled')),
    PRIMARY KEY (ticket_id, n),
    CONSTRAINT resolved_after_opened CHECK (resolved_at >= opened_at),
    CONSTRAINT resolved_with_outcome CHECK ((resolved_at IS NULL) = (outcome IS NULL))
);
CREATE TABLE ticket_change (
    ticket_id uuid NOT NULL REFERENCES ticket,
    version integer NOT NULL CHECK (version >= 1),
    action text NOT NULL CHECK (action IN ('opened', 'resolved', 'reopened')),
    actor text NOT NULL,
    at timestamptz NOT NULL,
    note text,
    changed jsonb NOT NULL,
    PRIMARY KEY (ticket_id, version)
);
CREATE TABLE ticket_comment (
    id uuid PRIMARY KEY,
    ticket_id uuid NOT NULL REFERENCES ticket,
    visibility text NOT NULL CHECK (visibility IN ('internal', 'public')),
    text text NOT NULL CHECK (text <> ''),
    author text NOT NULL,
    written_at timestamptz NOT NULL
);
CREATE INDEX ticket_comment_ticket ON ticket_comment (ticket_id, id);
CREATE UNIQUE INDEX ticket_spell_open ON ticket_spell (ticket_id) WHERE resolved_at IS NULL;
""")


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
