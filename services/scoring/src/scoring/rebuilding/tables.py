"""Rows of rebuilds."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Text, text
from sqlmodel import Field

from scoring.tables import ScoringTable

Phase = Literal["waiting", "replaying", "done", "failed", "cancelled"]


def _instant(*, nullable: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=nullable)


class RebuildRun(ScoringTable, table=True):
    """A rebuild that was asked for: how far it is, and in the end what it found. One at a time is open."""

    __tablename__ = "rebuild_run"
    __table_args__ = (
        CheckConstraint(
            "phase IN ('waiting', 'replaying', 'done', 'failed', 'cancelled')", name="rebuild_run_phase"
        ),
        Index(
            "rebuild_run_open", text("(true)"), unique=True,
            postgresql_where=text("phase IN ('waiting', 'replaying')"),
        ),
    )  # fmt: skip
    id: UUID = Field(primary_key=True)
    asked_by: str = Field(sa_type=Text)
    asked_at: datetime = Field(sa_column=_instant())
    phase: Phase = Field(sa_type=Text)
    events_total: int = Field(default=0, sa_type=BigInteger)
    events_done: int = Field(default=0, sa_type=BigInteger)
    events_per_second: int = Field(default=0, sa_type=BigInteger)
    customers: int | None = Field(default=None, sa_type=BigInteger)
    different: int | None = Field(default=None, sa_type=BigInteger)
    kept: int | None = Field(default=None, sa_type=BigInteger)
    problem: str | None = Field(default=None, sa_type=Text)
    finished_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
