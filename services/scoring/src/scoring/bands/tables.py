"""Rows of the figures that lists show."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Double, Index, Integer, Text, text
from sqlmodel import Field

from scoring.tables import ScoringTable


class CustomerScore(ScoringTable, table=True):
    """The figures last computed of a customer who has bought, and the churn band last told.

    `changed` is the transaction that wrote the row last, so that readers can ask for what is new to them.
    Rows are never deleted; without a band there are no figures (any more). Where newer figures could not be
    computed the row keeps those it has, and the model they are of, and `aside_until` says when to try again.
    """

    __tablename__ = "customer_score"
    __table_args__ = (
        Index("customer_score_changed", "changed"),
        Index("customer_score_computed_with", "model_version", "weights_version"),
        CheckConstraint("band IN ('low', 'medium', 'high', 'critical')", name="customer_score_band"),
        CheckConstraint("churn BETWEEN 0 AND 1 AND p_alive BETWEEN 0 AND 1", name="customer_score_chances"),
    )
    customer_id: UUID = Field(primary_key=True)
    churn: float = Field(sa_type=Double)
    band: str | None = Field(sa_type=Text)
    p_alive: float = Field(sa_type=Double)
    expected_purchases: float = Field(sa_type=Double)
    loyalty: float = Field(sa_type=Double)
    value_minor: int = Field(sa_type=BigInteger)
    model_version: int = Field(sa_type=Integer)
    weights_version: int = Field(sa_type=Integer)
    scored_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    aside_until: datetime | None = Field(sa_type=DateTime(timezone=True))
    changed: int = Field(
        sa_column=Column(
            BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")
        )
    )
