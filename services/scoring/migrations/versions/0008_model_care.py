"""Every attempt at a model with what was decided and why, which was served when, and the pages about them."""

from shared.migrations import execute_script

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: None = None
depends_on: None = None

# Models so far: as uncertain as the prior, not calibrated, and each served until the next.
MODEL_CARE = """
ALTER TABLE fitted_model
    ADD COLUMN covariance double precision[] NOT NULL DEFAULT '{1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1}',
    ADD COLUMN calibrator jsonb NOT NULL DEFAULT '{"intercept": 0, "slope": 1}',
    ADD COLUMN published boolean NOT NULL DEFAULT true,
    ADD COLUMN why text NOT NULL DEFAULT 'it was served before models were compared',
    ADD COLUMN evidence jsonb;
ALTER TABLE fitted_model
    ALTER COLUMN covariance DROP DEFAULT,
    ALTER COLUMN calibrator DROP DEFAULT,
    ALTER COLUMN published DROP DEFAULT,
    ALTER COLUMN why DROP DEFAULT;
CREATE TABLE model_serving (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL,
    served_from timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);
INSERT INTO model_serving (version, served_from, actor, reason)
SELECT version, fitted_at, 'scoring', why FROM fitted_model ORDER BY version;
CREATE TABLE model_report (
    version integer PRIMARY KEY,
    page text NOT NULL
);
"""


def upgrade() -> None:
    execute_script(MODEL_CARE)


def downgrade() -> None:
    raise RuntimeError("Patron's migrations only go forward: restore a backup")
