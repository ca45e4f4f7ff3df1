"""Rows of loyalty weights."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from scoring.tables import ScoringTable


class LoyaltyWeights(ScoringTable, table=True):
    """Weights that were set, by indicator; the highest version is served. Never changed.

    Version 1, which serves until others are set, is not stored: it is the same everywhere.
    """

    __tablename__ = "loyalty_weights"
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    valid_from: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    set_by: str = Field(sa_type=Text)
    weights: dict[str, float] = Field(sa_type=JSONB)
