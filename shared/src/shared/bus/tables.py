"""The tables of the event path, the same in every service's database."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlmodel import Field

from shared.tables import SharedTable

ParkedState = Literal["parked", "queued", "retried", "discarded"]


def _instant(*, default_now: bool = False, nullable: bool = False) -> Column[datetime]:
    return Column(
        DateTime(timezone=True), nullable=nullable, server_default=text("now()") if default_now else None
    )


class StreamSeq(SharedTable, table=True):
    """The last sequence number given out for a key of a topic; its row lock puts commits in order."""

    __tablename__ = "stream_seq"
    topic: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    seq: int = Field(sa_type=BigInteger)


class Outbox(SharedTable, table=True):
    """An event written with the change it tells of, kept for a week for republishing."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_stream", "topic", "key", "seq", "day", unique=True),
        {"postgresql_partition_by": "RANGE (day)"},
    )
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    topic: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text)
    seq: int = Field(sa_type=BigInteger)
    event_id: UUID
    type: str = Field(sa_type=Text)
    at: datetime = Field(sa_column=_instant())
    correlation_id: str | None = Field(default=None, sa_type=Text)
    causation_id: str | None = Field(default=None, sa_type=Text)
    traceparent: str | None = Field(default=None, sa_type=Text)
    payload: bytes = Field(sa_type=BYTEA)
    created_at: datetime = Field(sa_column=_instant(default_now=True))


class Unsent(SharedTable, table=True):
    """An event of the outbox that is still to be sent."""

    __tablename__ = "outbox_unsent"
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    day: date = Field(sa_column=Column(Date, nullable=False))


class RelayLease(SharedTable, table=True):
    """Which relay may send, until when; the epoch unmasks one that slept through its end. One row."""

    __tablename__ = "relay_lease"
    name: str = Field(primary_key=True, sa_type=Text)
    owner: str = Field(sa_type=Text)
    epoch: int = Field(sa_type=BigInteger)
    expires_at: datetime = Field(sa_column=_instant())


class ConsumerOffset(SharedTable, table=True):
    """The next record a consumer group reads: the truth about its position, with the state it belongs to."""

    __tablename__ = "consumer_offset"
    group_id: str = Field(primary_key=True, sa_type=Text)
    topic: str = Field(primary_key=True, sa_type=Text)
    partition: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    next_offset: int = Field(sa_type=BigInteger)
    epoch: int = Field(sa_type=BigInteger)
    owner: str = Field(sa_type=Text)
    fingerprint: str | None = Field(default=None, sa_type=Text)


class StreamProgress(SharedTable, table=True):
    """How far a key of a topic has been applied here; `parked` when an event of it waits for a person."""

    __tablename__ = "stream_progress"
    topic: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    last_seq: int = Field(sa_type=BigInteger)
    parked: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    held: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class HeldEvent(SharedTable, table=True):
    """An event that came before its predecessors; waits for the gap to fill."""

    __tablename__ = "held_event"
    topic: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    headers: dict[str, str] = Field(sa_type=JSONB)
    value: bytes = Field(sa_type=BYTEA)
    held_at: datetime = Field(sa_column=_instant(default_now=True))


class ParkedEvent(SharedTable, table=True):
    """An event that could not be applied, as it came, until somebody retries, edits or discards it."""

    __tablename__ = "parked_event"
    __table_args__ = (
        Index("parked_event_stream", "topic", "key", "seq"),
        Index("parked_event_waiting", "id", postgresql_where=text("state IN ('parked', 'queued')")),
    )
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    topic: str = Field(sa_type=Text)
    partition: int | None = Field(default=None, sa_type=Integer)
    offset: int | None = Field(default=None, sa_type=BigInteger)
    key: str | None = Field(default=None, sa_type=Text)
    seq: int | None = Field(default=None, sa_type=BigInteger)
    headers: dict[str, str] = Field(sa_type=JSONB)
    raw_key: bytes | None = Field(default=None, sa_type=BYTEA)
    value: bytes | None = Field(default=None, sa_type=BYTEA)
    state: str = Field(sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    parked_at: datetime = Field(sa_column=_instant(default_now=True))
    closed_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    actor: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
