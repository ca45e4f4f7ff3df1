"""Rows of models, of which was served when, and of their reports."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Double, Identity, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from scoring.tables import ScoringTable


class FittedModel(ScoringTable, table=True):
    """An attempt at a model, `published` or refused, and `why`. Never changed.

    `covariance` is that of the logarithms of the purchase parameters, row after row.
    """

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
    covariance: list[float] = Field(sa_type=ARRAY(Double))
    calibrator: dict[str, float] = Field(sa_type=JSONB)
    published: bool
    why: str = Field(sa_type=Text)
    evidence: dict[str, Any] | None = Field(default=None, sa_type=JSONB)


class ModelServing(ScoringTable, table=True):
    """From when on which model was served, by whose decision; the latest row holds. 0 is the prior."""

    __tablename__ = "model_serving"
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    version: int = Field(sa_type=Integer)
    served_from: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    actor: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)


class ModelReport(ScoringTable, table=True):
    """The page about a model, made when it was fitted."""

    __tablename__ = "model_report"
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    page: str = Field(sa_type=Text)
