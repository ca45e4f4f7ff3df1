"""The rows of receipts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Integer, Text, text
from sqlmodel import Field

from orders.tables import OrdersTable


class ReceiptRow(OrdersTable, table=True):
    """Money received."""

    __tablename__ = "receipt"
    __table_args__ = (
        Index("receipt_by_customer", "customer_id", "received_at", "id"),
        Index("receipt_by_time", "received_at", "id"),
    )
    id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=Integer)
    customer_id: UUID
    amount_minor: int = Field(sa_type=BigInteger)
    allocated_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    method: str = Field(sa_type=Text)
    reference: str | None = Field(default=None, sa_type=Text)
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class AllocationRow(OrdersTable, table=True):
    """The part of a receipt that pays one order."""

    __tablename__ = "receipt_allocation"
    receipt_id: UUID = Field(sa_column=Column(ForeignKey("receipt.id"), primary_key=True))
    order_id: UUID = Field(sa_column=Column(ForeignKey("sales_order.id"), primary_key=True, index=True))
    amount_minor: int = Field(sa_type=BigInteger)
