"""The customer archive: files, their numbers, their history."""

from shared.migrations import execute_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

_ARCHIVE = """
CREATE SEQUENCE customer_number;
CREATE TABLE customer (
    id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version >= 1),
    number text NOT NULL CHECK (length(number) BETWEEN 1 AND 40),
    type text NOT NULL CHECK (type IN ('person', 'company')),
    status text NOT NULL CHECK (status IN ('active', 'inactive')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    phones text[] NOT NULL,
    emails text[] NOT NULL,
    level text,
    class text,
    industry text,
    region text,
    source text,
    owner_id text,
    credit_limit_minor bigint CHECK (credit_limit_minor >= 0),
    addresses jsonb NOT NULL CHECK (jsonb_typeof(addresses) = 'array'),
    contacts jsonb NOT NULL CHECK (jsonb_typeof(contacts) = 'array'),
    tags text[] NOT NULL,
    notes text,
    birthday date CHECK (birthday IS NULL OR type = 'person'),
    time_zone text,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL CHECK (updated_at >= created_at),
    reachable_phones text[] NOT NULL,
    reachable_emails text[] NOT NULL,
    search_text text NOT NULL,
    search_pieces text[] NOT NULL
);
CREATE UNIQUE INDEX customer_number_taken ON customer (number);
CREATE INDEX customer_by_name ON customer (name, id);
CREATE INDEX customer_by_created_at ON customer (created_at, id);
CREATE INDEX customer_by_updated_at ON customer (updated_at, id);
CREATE INDEX customer_level ON customer (level);
CREATE INDEX customer_class ON customer (class);
CREATE INDEX customer_region ON customer (region);
CREATE INDEX customer_industry ON customer (industry);
CREATE INDEX customer_source ON customer (source);
CREATE INDEX customer_owner ON customer (owner_id);
CREATE INDEX customer_tags ON customer USING gin (tags);
CREATE INDEX customer_phones ON customer USING gin (reachable_phones);
CREATE INDEX customer_emails ON customer USING gin (reachable_emails);
CREATE INDEX customer_search ON customer USING gin (search_pieces);
CREATE TABLE customer_change (
    customer_id uuid NOT NULL REFERENCES customer,
    version integer NOT NULL CHECK (version >= 2),
    field text NOT NULL,
    old jsonb NOT NULL DEFAULT 'null',
    new jsonb NOT NULL DEFAULT 'null',
    actor text NOT NULL,
    changed_at timestamptz NOT NULL,
    reason text,
    PRIMARY KEY (customer_id, version, field),
    CHECK (old <> new)
);
"""


def upgrade() -> None:
    execute_script(_ARCHIVE)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
