"""The rules of a customer's file: what may stand in it, what counts as a change, what others are told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from customer.archive import finding, reach
from customer.archive.tables import Customer
from shared.db import row
from shared.errors import Conflict, FieldError, Invalid
from shared.events.customer import CustomerChanged, CustomerCreated, CustomerState

STATED = (
    "number", "type", "status", "name", "phones", "emails", "level", "class_", "industry", "region", "source",
    "owner_id", "credit_limit_minor", "addresses", "contacts", "tags", "notes", "birthday", "time_zone",
)  # fmt: skip
"""What a person states about a customer; everything else in the file follows from it."""

_LISTS = ("phones", "emails", "addresses", "contacts", "tags")

Stated = Mapping[str, Any]
"""Some of the `STATED` fields by name, in their tidy form."""


class FieldChange(NamedTuple):
    """What one field was and is."""

    field: str
    old: object
    new: object


def tidy(given: Stated, default_region: str) -> dict[str, Any]:
    """The same fields with phones and mail addresses normalised, tags in order, nothing twice.

    Raises `Invalid` naming every value that cannot be normalised.
    """
    errors: list[FieldError] = []

    def normal(normalise: Callable[[str], str], field: str, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return normalise(value)
        except reach.UnreachableError as broken:
            errors.append(FieldError(field, str(broken), value))
            return None

    def phone(value: str) -> str:
        return reach.phone(value, default_region)

    stated: dict[str, Any] = dict(given)
    for field in _LISTS:
        if field in stated:
            stated[field] = list(stated[field] or ())
    for field, normalise in (("phones", phone), ("emails", reach.email)):
        if field in stated:
            found = [normal(normalise, f"{field}.{at}", value) for at, value in enumerate(stated[field])]
            stated[field] = list(dict.fromkeys(found))
    if "contacts" in stated:
        stated["contacts"] = [
            {
                **contact,
                "phone": normal(phone, f"contacts.{at}.phone", contact.get("phone")),
                "email": normal(reach.email, f"contacts.{at}.email", contact.get("email")),
            }
            for at, contact in enumerate(stated["contacts"])
        ]
    if "tags" in stated:
        stated["tags"] = sorted(set(stated["tags"]))
    if errors:
        raise Invalid(
            "Some of the ways to reach the customer are not acceptable; correct them or leave them out.",
            errors=errors,
        )
    return stated


def create(stated: Stated, *, id_: UUID, number: str, actor: str, at: datetime) -> Customer:
    """A new file of what was stated, tidy; `number` is the one stated or the next free one."""
    return _file(
        {**stated, "number": number},
        id=id_, version=1, created_at=at, created_by=actor, updated_at=at,
    )  # fmt: skip


def change(customer: Customer, stated: Stated, at: datetime) -> tuple[Customer, list[FieldChange]]:
    """The file as it is with what was stated, tidy, and which fields that changes."""
    changes = [
        FieldChange(field, getattr(customer, field), stated[field])
        for field in STATED
        if field in stated and stated[field] != getattr(customer, field)
    ]
    if not changes:
        return customer, []
    kept = {field: getattr(customer, field) for field in STATED}
    changed = _file(
        {**kept, **stated},
        id=customer.id,
        version=customer.version + 1,
        created_at=customer.created_at,
        created_by=customer.created_by,
        updated_at=max(at, customer.updated_at),
    )
    return changed, [change._replace(field=wire_name(change.field)) for change in changes]


def says(customer: Customer, stated: Stated) -> bool:
    """Whether the file already says all of this."""
    return not change(customer, stated, customer.updated_at)[1]


def created(customer: Customer) -> CustomerCreated:
    """What others are told of a new customer."""
    return CustomerCreated(customer_id=customer.id, customer=state(customer))


def changed(customer: Customer, changes: Sequence[FieldChange]) -> CustomerChanged:
    """What others are told of a change: the names of all fields changed, the values of those not personal."""
    return CustomerChanged(
        customer_id=customer.id,
        customer=state(customer),
        changed=tuple(change.field for change in changes),
    )


def state(customer: Customer) -> CustomerState:
    """The customer as far as it is not personal."""
    return CustomerState(
        id=customer.id,
        version=customer.version,
        number=customer.number,
        type=customer.type,
        status=customer.status,
        level=customer.level,
        class_=customer.class_,
        industry=customer.industry,
        region=customer.region,
        source=customer.source,
        owner_id=customer.owner_id,
        credit_limit_minor=customer.credit_limit_minor,
        tags=tuple(customer.tags),
    )


def wire_name(field: str) -> str:
    """What the field is called outside."""
    return field.rstrip("_")


def number_taken(number: str, field: str = "number") -> Conflict:
    """Two files cannot have one number."""
    return Conflict(
        f"The customer number {number} is taken; choose another, or leave it out.",
        errors=[FieldError(field, "must belong to no other customer", number)],
    )


def other_content(id_: UUID) -> Conflict:
    """An imported row is not the customer of that id, or not any more."""
    return Conflict(
        f"There is a customer {id_} already, with other content.",
        errors=[
            FieldError(
                "id", "exists with other content: PATCH that customer, or import under another id", str(id_)
            )
        ],
    )


def _file(stated: Stated, **bookkeeping: Any) -> Customer:
    _check_birthday(stated.get("type"), stated.get("birthday"), bookkeeping["updated_at"])
    phones = _distinct(stated["phones"], (contact["phone"] for contact in stated["contacts"]))
    emails = _distinct(stated["emails"], (contact["email"] for contact in stated["contacts"]))
    names = [stated["name"], *(contact["name"] for contact in stated["contacts"])]
    text = finding.searchable([*names, stated["number"], *phones])
    values = {
        **stated,
        **bookkeeping,
        "reachable_phones": phones,
        "reachable_emails": emails,
        "search_text": text,
        "search_pieces": sorted(finding.pieces(text)),
    }
    return row(Customer, values)


def _check_birthday(type_: str | None, birthday: date | None, at: datetime) -> None:
    if birthday is None:
        return
    if type_ != "person":
        raise Invalid(
            "A company has no birthday; leave birthday out, or clear it with null.",
            errors=[FieldError("birthday", "must be null unless type is person", birthday)],
        )
    if birthday > (at + timedelta(hours=14)).date():  # tomorrow already, somewhere on earth
        raise Invalid(
            "The birthday lies in the future; correct it or leave it out.",
            errors=[FieldError("birthday", "must not lie in the future", birthday)],
        )


def _distinct(own: Iterable[str], of_contacts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(each for each in (*own, *of_contacts) if each is not None))
