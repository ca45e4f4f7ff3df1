"""What the HTTP side keeps in every service's database."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Index, LargeBinary, SmallInteger, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from shared.tables import SharedTable


class IdempotencyKey(SharedTable, table=True):
    """The answer given to a request that carried an Idempotency-Key."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("idempotency_key_age", "created_at"),)

    caller: str = Field(sa_column=Column(Text, primary_key=True))
    route: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    body_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int = Field(sa_column=Column(SmallInteger, nullable=False))
    headers: str = Field(sa_column=Column(JSONB, nullable=False, server_default="{}"))
    """The answer's own headers, a JSON object."""
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False, server_default=""))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )
