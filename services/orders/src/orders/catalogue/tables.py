"""The rows of the catalogue."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Text, text
from sqlmodel import Field

from orders.tables import OrdersTable


class ProductRow(OrdersTable, table=True):
    """A product."""

    __tablename__ = "product"
    __table_args__ = (Index("product_by_category", "category", "sku"),)
    id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=Integer)
    sku: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    name: str = Field(sa_type=Text)
    category: str | None = Field(default=None, sa_type=Text)
    unit: str = Field(sa_type=Text)
    list_price_minor: int = Field(sa_type=BigInteger)
    active: bool
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
