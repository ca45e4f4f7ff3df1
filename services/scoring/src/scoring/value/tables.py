"""Rows of comparisons of the methods of lifetime value."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from scoring.tables import ScoringTable


class ValueComparison(ScoringTable, table=True):
    """A comparison; the one with the highest version is served. Never changed."""

    __tablename__ = "value_comparison"
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    compared_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    model_version: int = Field(sa_type=Integer)
    one_in: int = Field(sa_type=Integer)
    backtest: dict[str, Any] = Field(sa_type=JSONB)
