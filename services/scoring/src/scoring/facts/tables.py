"""Rows of facts and states.

Every version of a fact is kept, with the event that told it: `seq` its place in the publisher's stream, `at`
when it happened, and from when until when it was what scoring knew. What is known now has no `known_until`.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlmodel import Field

from scoring.tables import ScoringTable


def _instant(*, nullable: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=nullable)


def _known_from() -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))


class CustomerFact(ScoringTable, table=True):
    """A customer whose file was opened."""

    __tablename__ = "customer_fact"
    customer_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_type=Integer)
    event_id: UUID
    registered_at: datetime = Field(sa_column=_instant())
    seq: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_column=_instant())
    known_from: datetime = Field(sa_column=_known_from())
    known_until: datetime | None = Field(default=None, sa_column=_instant(nullable=True))


class PurchaseFact(ScoringTable, table=True):
    """An order; `counts` is false once it is cancelled."""

    __tablename__ = "purchase_fact"
    __table_args__ = (
        Index("purchase_fact_customer", "customer_id", "ordered_at"),
        CheckConstraint("amount_minor >= 0 AND list_amount_minor >= 0", name="purchase_fact_amounts"),
    )
    order_id: UUID = Field(primary_key=True)
    customer_id: UUID
    version: int = Field(primary_key=True, sa_type=Integer)
    event_id: UUID
    ordered_at: datetime = Field(sa_column=_instant())
    amount_minor: int = Field(sa_type=BigInteger)
    list_amount_minor: int = Field(sa_type=BigInteger)
    counts: bool
    seq: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_column=_instant())
    known_from: datetime = Field(sa_column=_known_from())
    known_until: datetime | None = Field(default=None, sa_column=_instant(nullable=True))


class ComplaintFact(ScoringTable, table=True):
    """A ticket; `counts` is false for those that are no complaints.

    `spells` are [opened, resolved, outcome] with instants in microseconds since 1970, outcome 1 mishandled
    and 2 recovered; `severity` 1 minor, 2 major, 3 critical.
    """

    __tablename__ = "complaint_fact"
    __table_args__ = (
        Index("complaint_fact_customer", "customer_id", text("((spells -> 0) -> 0) DESC"), "ticket_id"),
        CheckConstraint("severity BETWEEN 1 AND 3", name="complaint_fact_severity"),
    )
    ticket_id: UUID = Field(primary_key=True)
    customer_id: UUID
    version: int = Field(primary_key=True, sa_type=Integer)
    event_id: UUID
    severity: int = Field(sa_type=SmallInteger)
    counts: bool
    spells: list[list[Any]] = Field(sa_type=JSONB)
    seq: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_column=_instant())
    known_from: datetime = Field(sa_column=_known_from())
    known_until: datetime | None = Field(default=None, sa_column=_instant(nullable=True))


class CustomerState(ScoringTable, table=True):
    """What a customer's facts add up to, and since when they are due to be scored; null: nothing to do.

    `begins_band`: if nothing happened since it was set, their next churn band begins at `due_at`.
    `restated_from` is the state before something about the past became known, until that was told.
    """

    __tablename__ = "customer_state"
    __table_args__ = (
        Index("customer_state_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("customer_state_begins", "due_at", "customer_id", postgresql_where=text("begins_band")),
        Index("customer_state_restated", "customer_id", postgresql_where=text("restated_from IS NOT NULL")),
    )
    customer_id: UUID = Field(primary_key=True)
    state: bytes = Field(sa_type=BYTEA)
    due_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    begins_band: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    restated_from: bytes | None = Field(default=None, sa_type=BYTEA)
