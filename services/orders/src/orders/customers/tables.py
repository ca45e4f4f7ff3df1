"""Orders' own copy of each customer."""

from uuid import UUID

from sqlalchemy import BigInteger, Integer, Text
from sqlmodel import Field

from orders.tables import OrdersTable


class CustomerRow(OrdersTable, table=True):
    """What orders needs of a customer, kept up to date by the customer service's events."""

    __tablename__ = "customer"
    id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=Integer)
    status: str = Field(sa_type=Text)
    class_code: str | None = Field(default=None, sa_type=Text)
    credit_limit_minor: int | None = Field(default=None, sa_type=BigInteger)
