"""A ticket, the spells in which it was open, and its history."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Index, Integer, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlmodel import Field

from service_desk.tables import ServiceDeskTable

_INSTANT: Any = DateTime(timezone=True)


class Ticket(ServiceDeskTable, table=True):
    """What a customer came with. `opened_at` is when it was opened first."""

    __tablename__ = "ticket"
    __table_args__ = (
        UniqueConstraint("number", name="ticket_number_key"),
        Index("ticket_opened", "opened_at", "id"),
        Index("ticket_customer", "customer_id", "opened_at", "id"),
        Index("ticket_status", "status", "opened_at", "id"),
        Index("ticket_kind", "kind", "opened_at", "id"),
        Index("ticket_severity", "severity", "opened_at", "id"),
    )
    id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=Integer)
    number: str = Field(sa_type=Text)
    customer_id: UUID = Field(foreign_key="customer.id")
    kind: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    description: str | None = Field(default=None, sa_type=Text)
    severity: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    channel: str | None = Field(default=None, sa_type=Text)
    priority: str = Field(sa_type=Text)
    order_id: UUID | None = None
    product_id: UUID | None = None
    opened_at: datetime = Field(sa_type=_INSTANT)
    changed_at: datetime = Field(sa_type=_INSTANT)
    imported_as: bytes | None = Field(default=None, sa_type=BYTEA)


class TicketSpell(ServiceDeskTable, table=True):
    """One time that a ticket was open, the `n`th."""

    __tablename__ = "ticket_spell"
    __table_args__ = (
        Index("ticket_spell_open", "ticket_id", unique=True, postgresql_where=text("resolved_at IS NULL")),
    )
    ticket_id: UUID = Field(primary_key=True, foreign_key="ticket.id")
    n: int = Field(primary_key=True, sa_type=SmallInteger)
    opened_at: datetime = Field(sa_type=_INSTANT)
    resolved_at: datetime | None = Field(default=None, sa_type=_INSTANT)
    outcome: str | None = Field(default=None, sa_type=Text)


class TicketChange(ServiceDeskTable, table=True):
    """What made a version of a ticket: who did what, when it was recorded, and which values it changed."""

    __tablename__ = "ticket_change"
    ticket_id: UUID = Field(primary_key=True, foreign_key="ticket.id")
    version: int = Field(primary_key=True, sa_type=Integer)
    action: str = Field(sa_type=Text)
    actor: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=_INSTANT)
    note: str | None = Field(default=None, sa_type=Text)
    changed: list[dict[str, Any]] = Field(sa_type=JSONB)
