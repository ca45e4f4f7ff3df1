"""What the customer service publishes: facts about customers, never their names or contacts."""

from typing import Literal
from uuid import UUID

import msgspec

from shared.events.event import Event, declare

CustomerType = Literal["person", "company"]
CustomerStatus = Literal["active", "inactive"]


class CustomerState(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as it now is, as far as it is not personal."""

    id: UUID
    version: int
    number: str
    type: CustomerType
    status: CustomerStatus
    level: str | None = None
    class_: str | None = msgspec.field(default=None, name="class")
    industry: str | None = None
    region: str | None = None
    source: str | None = None
    owner_id: str | None = None
    credit_limit_minor: int | None = None
    tags: tuple[str, ...] = ()


@declare("customer.customer_created.v1", topic="patron.customer", key="customer_id")
class CustomerCreated(Event, frozen=True, kw_only=True):
    """A customer's file was opened."""

    customer_id: UUID
    customer: CustomerState


@declare("customer.customer_changed.v1", topic="patron.customer", key="customer_id")
class CustomerChanged(Event, frozen=True, kw_only=True):
    """A customer's file was changed; `changed` names the fields, personal ones included, never values."""

    customer_id: UUID
    customer: CustomerState
    changed: tuple[str, ...]
