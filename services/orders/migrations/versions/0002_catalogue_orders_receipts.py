"""Customers as known here, products, orders, receipts."""

from shared.migrations import execute_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

TABLES = """
CREATE TABLE customer (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    status text NOT NULL,
    class_code text,
    credit_limit_minor bigint
) WITH (fillfactor = 80);
CREATE TABLE product (
    id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version >= 1),
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    category text,
    unit text NOT NULL,
    list_price_minor bigint NOT NULL CHECK (list_price_minor BETWEEN 0 AND 1000000000000000),
    active boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX product_by_category ON product (category, sku);
CREATE TABLE sales_order (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    version integer NOT NULL CHECK (version >= 1),
    customer_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('placed', 'completed', 'cancelled')),
    channel text NOT NULL CHECK (channel IN ('store', 'web', 'phone', 'mobile', 'partner')),
    currency text NOT NULL,
    ordered_at timestamptz NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor BETWEEN 0 AND 1000000000000000),
    list_total_minor bigint NOT NULL CHECK (list_total_minor BETWEEN 0 AND 1000000000000000),
    paid_minor bigint NOT NULL DEFAULT 0,
    completed_at timestamptz,
    cancelled_at timestamptz,
    cancel_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT never_paid_more_than_owed CHECK (paid_minor BETWEEN 0 AND total_minor),
    CONSTRAINT completed_has_a_time CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT cancelled_has_a_time CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL))
) WITH (fillfactor = 90);
CREATE INDEX sales_order_by_time ON sales_order (ordered_at, id);
CREATE INDEX sales_order_by_customer ON sales_order (customer_id, ordered_at, id);
CREATE INDEX sales_order_by_status ON sales_order (status, ordered_at, id);
CREATE TABLE sales_order_line (
    order_id uuid NOT NULL REFERENCES sales_order,
    n integer NOT NULL CHECK (n BETWEEN 1 AND 200),
    product_id uuid NOT NULL REFERENCES product,
    quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    list_amount_minor bigint NOT NULL CHECK (list_amount_minor BETWEEN 0 AND 1000000000000000),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 1000000000000000),
    PRIMARY KEY (order_id, n)
);
CREATE TABLE receipt (
    id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version >= 1),
    customer_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 1000000000000000),
    allocated_minor bigint NOT NULL,
    currency text NOT NULL,
    method text NOT NULL CHECK (method IN ('cash', 'card', 'bank_transfer', 'cheque', 'other')),
    reference text,
    received_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT never_allocated_more_than_received CHECK (allocated_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX receipt_by_time ON receipt (received_at, id);
CREATE INDEX receipt_by_customer ON receipt (customer_id, received_at, id);
CREATE TABLE receipt_allocation (
    receipt_id uuid NOT NULL REFERENCES receipt,
    order_id uuid NOT NULL REFERENCES sales_order,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 1),
    PRIMARY KEY (receipt_id, order_id)
);
CREATE INDEX ix_receipt_allocation_order_id ON receipt_allocation (order_id);
"""


def upgrade() -> None:
    execute_script(TABLES)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
