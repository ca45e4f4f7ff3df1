"""Our copy of the customers."""

from uuid import UUID

from sqlalchemy import BigInteger, Text
from sqlmodel import Field

from service_desk.tables import ServiceDeskTable


class Customer(ServiceDeskTable, table=True):
    """What the service desk needs to know of a customer, as the customer service last said."""

    __tablename__ = "customer"
    id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    status: str = Field(sa_type=Text)
    level: str | None = Field(default=None, sa_type=Text)
