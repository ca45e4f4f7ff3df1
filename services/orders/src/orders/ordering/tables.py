"""The rows of orders."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Index, Integer, Text, text
from sqlmodel import Field

from orders.tables import OrdersTable


class OrderRow(OrdersTable, table=True):
    """An order without its lines."""

    __tablename__ = "sales_order"
    __table_args__ = (
        Index("sales_order_by_time", "ordered_at", "id"),
        Index("sales_order_by_customer", "customer_id", "ordered_at", "id"),
        Index("sales_order_by_status", "status", "ordered_at", "id"),
    )
    id: UUID = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False, unique=True))
    version: int = Field(sa_type=Integer)
    customer_id: UUID
    status: str = Field(sa_type=Text)
    channel: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    ordered_at: datetime = Field(sa_type=DateTime(timezone=True))
    total_minor: int = Field(sa_type=BigInteger)
    list_total_minor: int = Field(sa_type=BigInteger)
    paid_minor: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    completed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    cancelled_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    cancel_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class OrderLineRow(OrdersTable, table=True):
    """A line of an order, the `n`th."""

    __tablename__ = "sales_order_line"
    order_id: UUID = Field(sa_column=Column(ForeignKey("sales_order.id"), primary_key=True))
    n: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    product_id: UUID = Field(foreign_key="product.id")
    quantity: int = Field(sa_type=Integer)
    list_amount_minor: int = Field(sa_type=BigInteger)
    amount_minor: int = Field(sa_type=BigInteger)
