"""What was said about a ticket."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Index, Text
from sqlmodel import Field

from service_desk.tables import ServiceDeskTable

_INSTANT: Any = DateTime(timezone=True)


class Comment(ServiceDeskTable, table=True):
    """A remark: `internal` for the desk alone, `public` for the customer too."""

    __tablename__ = "ticket_comment"
    __table_args__ = (Index("ticket_comment_ticket", "ticket_id", "id"),)
    id: UUID = Field(primary_key=True)
    ticket_id: UUID = Field(foreign_key="ticket.id")
    visibility: str = Field(sa_type=Text)
    text: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    written_at: datetime = Field(sa_type=_INSTANT)
