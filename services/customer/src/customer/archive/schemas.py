"""What is sent and answered about customers."""

from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from customer.archive.tables import Customer
from shared.events.customer import CustomerStatus, CustomerType
from shared.web.auth import Caller
from shared.web.fields import Body, Currency, Minor, Name, Text, View, same_currency

_EARLIEST_BIRTHDAY = date(1850, 1, 1)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _time_zones():
        raise PydanticCustomError("time_zone", "must be an IANA time zone, such as Europe/Berlin")
    return name


def _born_lately(day: date) -> date:
    if day < _EARLIEST_BIRTHDAY:
        raise PydanticCustomError("birthday", "must not lie before 1850")
    return day


def _some_place(address: "Address") -> "Address":
    if not any((address.street, address.city, address.region, address.postal_code, address.country)):
        raise PydanticCustomError("empty_address", "must name a street, city, region, postal code or country")
    return address


Label = Annotated[Name, StringConstraints(max_length=100)]
"""One short line: a level, a region, a tag."""
Number = Annotated[Name, StringConstraints(max_length=40)]
Reach = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254)]
"""A phone number or mail address, as people write it."""
TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]
Birthday = Annotated[date, AfterValidator(_born_lately)]
BuyingRole = Literal["decision_maker", "influencer", "user", "gatekeeper", "buyer", "other"]


class Address(Body):
    """Where a customer is found or supplied; every part is optional, but not all of them."""

    label: Label | None = None
    street: Annotated[Text, StringConstraints(max_length=500)] | None = None
    city: Label | None = None
    region: Label | None = None
    postal_code: Label | None = None
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None


class Contact(Body):
    """Somebody at the customer, and what they have to say when the customer decides to buy."""

    name: Name
    role: BuyingRole = "other"
    phone: Reach | None = None
    email: Reach | None = None


Phones = Annotated[list[Reach], Field(max_length=20)]
Emails = Annotated[list[Reach], Field(max_length=20)]
Addresses = Annotated[list[Annotated[Address, AfterValidator(_some_place)]], Field(max_length=20)]
Contacts = Annotated[list[Contact], Field(max_length=100)]
Tags = Annotated[list[Label], Field(max_length=50)]


class CreateCustomer(Body):
    """Opens a customer's file."""

    number: Number | None = Field(default=None, description="Given out (C-000001) unless stated.")
    type: CustomerType
    status: CustomerStatus = "active"
    name: Name
    phones: Phones = Field(default_factory=list)
    emails: Emails = Field(default_factory=list)
    level: Label | None = None
    class_: Label | None = Field(default=None, alias="class")
    industry: Label | None = None
    region: Label | None = None
    source: Label | None = None
    owner_id: Label | None = None
    credit_limit_minor: Minor | None = None
    currency: Currency | None = Field(default=None, description="Of the credit limit; only the deployment's.")
    addresses: Addresses = Field(default_factory=list)
    contacts: Contacts = Field(default_factory=list)
    tags: Tags = Field(default_factory=list)
    notes: Text | None = None
    birthday: Birthday | None = None
    time_zone: TimeZone | None = None

    def stated(self, currency: str) -> dict[str, Any]:
        """All fields of the file; refuses amounts in another currency."""
        same_currency(self.currency, currency)
        return self.model_dump(exclude={"currency"})


class ImportCustomer(CreateCustomer):
    """A row of an import; with an `id` it can be imported again and changes nothing."""

    id: UUID | None = None

    def stated(self, currency: str) -> dict[str, Any]:
        """All fields of the file but the number, when the row has none."""
        same_currency(self.currency, currency)
        left_out = {"currency", "id"} if self.number else {"currency", "id", "number"}
        return self.model_dump(exclude=left_out)


def _unchanged() -> Any:
    return None


class ChangeCustomer(Body):
    """Changes the fields it names, no others; null clears what may be empty; lists are replaced whole."""

    number: Number = Field(default_factory=_unchanged)
    type: CustomerType = Field(default_factory=_unchanged)
    status: CustomerStatus = Field(default_factory=_unchanged)
    name: Name = Field(default_factory=_unchanged)
    phones: Phones | None = None
    emails: Emails | None = None
    level: Label | None = None
    class_: Label | None = Field(default=None, alias="class")
    industry: Label | None = None
    region: Label | None = None
    source: Label | None = None
    owner_id: Label | None = None
    credit_limit_minor: Minor | None = None
    currency: Currency | None = Field(default=None, description="Of the credit limit; only the deployment's.")
    addresses: Addresses | None = None
    contacts: Contacts | None = None
    tags: Tags | None = None
    notes: Text | None = None
    birthday: Birthday | None = None
    time_zone: TimeZone | None = None
    reason: Annotated[Text, StringConstraints(max_length=500)] | None = Field(
        default=None, description="Why; kept in the history."
    )

    def stated(self, currency: str) -> dict[str, Any]:
        """The fields that were named; refuses amounts in another currency."""
        same_currency(self.currency, currency)
        named = self.model_fields_set - {"currency", "reason"}
        return {field: value for field, value in self.model_dump().items() if field in named}


class AddressView(View):
    """An address."""

    label: str | None
    street: str | None
    city: str | None
    region: str | None
    postal_code: str | None
    country: str | None


class ContactView(View):
    """Somebody at the customer."""

    name: str
    role: BuyingRole
    phone: str | None
    email: str | None


class OwnFileView(View):
    """What customers see of their own file: what they told us, not what we think of them."""

    id: UUID
    version: int
    number: str
    type: CustomerType
    status: CustomerStatus
    name: str
    phones: list[str]
    emails: list[str]
    addresses: list[AddressView]
    birthday: date | None
    time_zone: str | None
    created_at: datetime
    updated_at: datetime


class CustomerView(OwnFileView):
    """A customer's file."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    level: str | None
    class_: str | None = Field(alias="class")
    industry: str | None
    region: str | None
    source: str | None
    owner_id: str | None
    credit_limit_minor: int | None
    contacts: list[ContactView]
    tags: list[str]
    notes: str | None
    created_by: str


class ChangeView(View):
    """One field of one change."""

    version: int
    changed_at: datetime
    actor: str
    field: str
    old: Any
    new: Any
    reason: str | None


def view(customer: Customer, caller: Caller) -> OwnFileView:
    """The file as this caller may see it."""
    shape = CustomerView if caller.customer_id is None else OwnFileView
    return shape.model_validate(customer)
