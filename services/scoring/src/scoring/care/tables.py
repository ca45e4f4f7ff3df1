"""Rows of fitted models."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Column, DateTime, Double, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from scoring.tables import ScoringTable


class FittedModel(ScoringTable, table=True):
    """A fitted model; the one with the highest version is served. Never changed."""

    __tablename__ = "fitted_model"
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    kind: str = Field(sa_type=Text)
    fitted_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    customers: int = Field(sa_type=Integer)
    repeat_buyers: int = Field(sa_type=Integer)
    complaints: int = Field(sa_type=Integer)
    prior_driven: bool
    log_likelihood: float = Field(sa_type=Double)
    parameters: dict[str, dict[str, float]] = Field(sa_type=JSONB)
    standard_errors: dict[str, dict[str, float | None]] = Field(sa_type=JSONB)
    rate_quantiles: list[float] = Field(sa_type=ARRAY(Double))
    complaint_effect: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
