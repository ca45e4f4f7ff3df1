"""Facts, states, scores and fitted models."""

from shared.migrations import execute_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

SCORES = """
CREATE TABLE customer_fact (
    customer_id uuid PRIMARY KEY,
    version integer NOT NULL,
    event_id uuid NOT NULL,
    registered_at timestamptz NOT NULL
);
CREATE TABLE purchase_fact (
    order_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    version integer NOT NULL,
    event_id uuid NOT NULL,
    ordered_at timestamptz NOT NULL,
    amount_minor bigint NOT NULL,
    list_amount_minor bigint NOT NULL,
    counts boolean NOT NULL,
    CONSTRAINT purchase_fact_amounts CHECK (amount_minor >= 0 AND list_amount_minor >= 0)
);
CREATE INDEX purchase_fact_customer ON purchase_fact (customer_id, ordered_at);
CREATE TABLE complaint_fact (
    ticket_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    version integer NOT NULL,
    event_id uuid NOT NULL,
    severity smallint NOT NULL,
    counts boolean NOT NULL,
    spells jsonb NOT NULL,
    CONSTRAINT complaint_fact_severity CHECK (severity BETWEEN 1 AND 3)
);
CREATE INDEX complaint_fact_customer ON complaint_fact (customer_id);
CREATE TABLE customer_state (
    customer_id uuid PRIMARY KEY,
    state bytea NOT NULL,
    due_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX customer_state_due ON customer_state (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE customer_score (
    customer_id uuid PRIMARY KEY,
    churn double precision NOT NULL,
    band text NOT NULL,
    p_alive double precision NOT NULL,
    expected_purchases double precision NOT NULL,
    loyalty double precision NOT NULL,
    value_minor bigint NOT NULL,
    model_version integer NOT NULL,
    scored_at timestamptz NOT NULL,
    CONSTRAINT customer_score_band CHECK (band IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT customer_score_chances CHECK (churn BETWEEN 0 AND 1 AND p_alive BETWEEN 0 AND 1)
);
CREATE INDEX customer_score_churn ON customer_score (churn, customer_id);
CREATE INDEX customer_score_loyalty ON customer_score (loyalty, customer_id);
CREATE INDEX customer_score_value ON customer_score (value_minor, customer_id);
CREATE INDEX customer_score_band_churn ON customer_score (band, churn, customer_id);
CREATE INDEX customer_score_band_loyalty ON customer_score (band, loyalty, customer_id);
CREATE INDEX customer_score_band_value ON customer_score (band, value_minor, customer_id);
CREATE INDEX customer_score_age ON customer_score (model_version, scored_at);
CREATE TABLE fitted_model (
    version integer PRIMARY KEY,
    kind text NOT NULL,
    fitted_at timestamptz NOT NULL,
    customers integer NOT NULL,
    repeat_buyers integer NOT NULL,
    complaints integer NOT NULL,
    prior_driven boolean NOT NULL,
    log_likelihood double precision NOT NULL,
    parameters jsonb NOT NULL,
    standard_errors jsonb NOT NULL,
    rate_quantiles double precision[] NOT NULL,
    complaint_effect jsonb
);
"""


def upgrade() -> None:
    execute_script(SCORES)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
