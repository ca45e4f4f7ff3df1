"""Rows of what lists need to know beside the figures."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from scoring.tables import ScoringTable


class ServerRun(ScoringTable, table=True):
    """One row for as long as PostgreSQL has not crashed: the table is unlogged, so a crash empties it, and so
    does a standby that takes over. Numbers of transactions that were lost are then given out again.
    """

    __tablename__ = "server_run"
    __table_args__: Any = (
        CheckConstraint("only_one", name="server_run_only_one"),
        {"prefixes": ["UNLOGGED"]},
    )
    id: UUID
    only_one: bool = Field(default=True, primary_key=True, sa_column_kwargs={"server_default": "true"})
