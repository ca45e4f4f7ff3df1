"""The rows of the archive."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, Date, DateTime, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from customer.tables import CustomerTable
from shared.events.customer import CustomerStatus, CustomerType


def _text(*, nullable: bool = True) -> Column[str]:
    return Column(Text, nullable=nullable)


def _texts() -> Column[list[str]]:
    return Column(ARRAY(Text), nullable=False)


def _instant() -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False)


class Customer(CustomerTable, table=True):
    """A customer's file. Phones are in E.164, mail addresses in lower case, tags in order.

    The columns from `reachable_phones` on are for finding it; `archive.finding` derives them.
    """

    __tablename__ = "customer"
    __table_args__ = (
        Index("customer_number_taken", "number", unique=True),
        Index("customer_by_name", "name", "id"),
        Index("customer_by_created_at", "created_at", "id"),
        Index("customer_by_updated_at", "updated_at", "id"),
        Index("customer_level", "level"),
        Index("customer_class", "class"),
        Index("customer_region", "region"),
        Index("customer_industry", "industry"),
        Index("customer_source", "source"),
        Index("customer_owner", "owner_id"),
        Index("customer_tags", "tags", postgresql_using="gin"),
        Index("customer_phones", "reachable_phones", postgresql_using="gin"),
        Index("customer_emails", "reachable_emails", postgresql_using="gin"),
        Index("customer_search", "search_pieces", postgresql_using="gin"),
    )

    id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=Integer)
    number: str = Field(sa_column=_text(nullable=False))
    type: CustomerType = Field(sa_column=_text(nullable=False))
    status: CustomerStatus = Field(sa_column=_text(nullable=False))
    name: str = Field(sa_column=_text(nullable=False))
    phones: list[str] = Field(sa_column=_texts())
    emails: list[str] = Field(sa_column=_texts())
    level: str | None = Field(default=None, sa_column=_text())
    class_: str | None = Field(default=None, sa_column=Column("class", Text))
    industry: str | None = Field(default=None, sa_column=_text())
    region: str | None = Field(default=None, sa_column=_text())
    source: str | None = Field(default=None, sa_column=_text())
    owner_id: str | None = Field(default=None, sa_column=_text())
    credit_limit_minor: int | None = Field(default=None, sa_column=Column(BigInteger))
    addresses: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    contacts: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    tags: list[str] = Field(sa_column=_texts())
    notes: str | None = Field(default=None, sa_column=_text())
    birthday: date | None = Field(default=None, sa_column=Column(Date))
    time_zone: str | None = Field(default=None, sa_column=_text())
    created_at: datetime = Field(sa_column=_instant())
    created_by: str = Field(sa_column=_text(nullable=False))
    updated_at: datetime = Field(sa_column=_instant())
    reachable_phones: list[str] = Field(sa_column=_texts())
    reachable_emails: list[str] = Field(sa_column=_texts())
    search_text: str = Field(sa_column=_text(nullable=False))
    search_pieces: list[str] = Field(sa_column=_texts())


class CustomerChange(CustomerTable, table=True):
    """One field of one change to a file: what was there, what is there since, who, when, why."""

    __tablename__ = "customer_change"

    customer_id: UUID = Field(primary_key=True, foreign_key="customer.id")
    version: int = Field(sa_column=Column(Integer, primary_key=True))
    field: str = Field(sa_column=Column(Text, primary_key=True))
    old: Any = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'null'")))
    new: Any = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'null'")))
    actor: str = Field(sa_column=_text(nullable=False))
    changed_at: datetime = Field(sa_column=_instant())
    reason: str | None = Field(default=None, sa_column=_text())
