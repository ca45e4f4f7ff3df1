"""The rules of a customer's file."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer.archive import domain
from customer.archive.schemas import ChangeCustomer, CreateCustomer
from customer.archive.tables import Customer
from shared.errors import Invalid
from shared.events.event import encode

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(days=1)


def stated(**fields: object) -> dict[str, Any]:
    body = CreateCustomer.model_validate({"type": "person", "name": "Ann Lee", **fields})
    return domain.tidy(body.stated("USD"), "US")


def file(**fields: object) -> Customer:
    return domain.create(stated(**fields), id_=UUID(int=1), number="C-000001", actor="mary", at=AT)


def wanted(**fields: object) -> dict[str, Any]:
    return domain.tidy(ChangeCustomer.model_validate(fields).stated("USD"), "US")


def test_a_new_file_is_active_at_version_one() -> None:
    customer = file()
    assert (customer.version, customer.status, customer.number) == (1, "active", "C-000001")
    assert (customer.created_at, customer.created_by, customer.updated_at) == (AT, "mary", AT)


def test_ways_to_reach_a_customer_are_normalised_and_kept_once() -> None:
    customer = file(
        phones=["(202) 555-0123", "+1 202 555 0123"], emails=["Ann@Example.com", "ann@example.com"]
    )
    assert (customer.phones, customer.emails) == (["+12025550123"], ["ann@example.com"])


def test_every_unreachable_value_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        stated(phones=["+12025550123", "12"], emails=["x"], contacts=[{"name": "Bo", "phone": "no"}])
    assert [error.field for error in refused.value.errors] == ["phones.1", "emails.0", "contacts.0.phone"]
    assert [error.value for error in refused.value.errors] == ["12", "x", "no"]


def test_tags_are_kept_in_order_and_once() -> None:
    assert file(tags=["vip", "bald", "vip"]).tags == ["bald", "vip"]


def test_a_customer_is_reachable_by_what_its_contacts_have_too() -> None:
    customer = file(
        type="company",
        phones=["+12025550123"],
        contacts=[
            {"name": "Bo", "role": "buyer", "phone": "202 555 0124", "email": "BO@example.com"},
            {"name": "Cy", "phone": "202 555 0123"},
        ],
    )
    assert customer.reachable_phones == ["+12025550123", "+12025550124"]
    assert customer.reachable_emails == ["bo@example.com"]
    assert customer.contacts[0] == {
        "name": "Bo", "role": "buyer", "phone": "+12025550124", "email": "bo@example.com"
    }  # fmt: skip


def test_a_company_has_no_birthday() -> None:
    with pytest.raises(Invalid, match="company has no birthday"):
        file(type="company", birthday=date(1990, 1, 1))


def test_becoming_a_company_needs_the_birthday_cleared() -> None:
    person = file(birthday=date(1990, 1, 1))
    with pytest.raises(Invalid, match="clear it with null"):
        domain.change(person, wanted(type="company"), LATER)
    company, _ = domain.change(person, wanted(type="company", birthday=None), LATER)
    assert (company.type, company.birthday) == ("company", None)


def test_nobody_is_born_in_the_future() -> None:
    assert file(birthday=AT.date()).birthday == AT.date()
    with pytest.raises(Invalid, match="in the future"):
        file(birthday=AT.date() + timedelta(days=2))


def test_an_amount_in_another_currency_is_refused() -> None:
    with pytest.raises(Invalid, match="in USD, not EUR"):
        stated(credit_limit_minor=5, currency="EUR")
    with pytest.raises(Invalid, match="in USD, not EUR"):
        wanted(credit_limit_minor=5, currency="EUR")


def test_a_change_names_what_was_and_what_is() -> None:
    customer, changes = domain.change(file(level="iron"), wanted(level="gold", name="Ann Lee"), LATER)
    assert changes == [domain.FieldChange("level", "iron", "gold")]
    assert (customer.version, customer.level, customer.updated_at) == (2, "gold", LATER)
    assert customer.created_at == AT


def test_a_change_that_changes_nothing_leaves_the_version() -> None:
    customer = file(phones=["+12025550123"], tags=["a", "b"])
    same, changes = domain.change(
        customer, wanted(phones=["202-555-0123"], tags=["b", "a"], name="Ann Lee", level=None), LATER
    )
    assert same is customer
    assert changes == []


def test_absent_fields_stay_and_null_clears() -> None:
    customer, changes = domain.change(
        file(level="gold", notes="tall", phones=["+12025550123"]),
        wanted(notes=None, phones=None),
        LATER,
    )
    assert (customer.level, customer.notes, customer.phones) == ("gold", None, [])
    assert {change.field for change in changes} == {"notes", "phones"}


def test_the_class_is_called_class_outside() -> None:
    customer, changes = domain.change(file(), wanted(**{"class": "vip"}), LATER)
    assert changes == [domain.FieldChange("class", None, "vip")]
    assert b'"class":"vip"' in encode(domain.changed(customer, changes))


def test_time_never_runs_backwards_in_a_file() -> None:
    customer, _ = domain.change(file(), wanted(level="gold"), AT - timedelta(seconds=5))
    assert customer.updated_at == AT


def test_finding_follows_a_change_of_name() -> None:
    customer, _ = domain.change(file(), wanted(name="王小明"), LATER)
    assert "小明" in customer.search_pieces
    assert "ann" not in customer.search_pieces


def test_events_tell_the_whole_state_and_nothing_personal() -> None:
    customer = file(
        name="Zebulon Quagga", phones=["+12025550123"], emails=["zebulon@quagga.example"], notes="Secretnote",
        contacts=[{"name": "Yolanda", "phone": "+12025550199"}], birthday=date(1987, 6, 5),
        addresses=[{"street": "Hidden Lane 9"}], time_zone="Asia/Shanghai", level="gold", tags=["new"],
        credit_limit_minor=10**15, owner_id="mary", region="east", industry="zoo", source="fair",
    )  # fmt: skip
    after, changes = domain.change(customer, wanted(name="Someoneelse", birthday=None), LATER)
    for event in (domain.created(customer), domain.changed(after, changes)):
        payload = encode(event).decode()
        for personal in (
            "Zebulon", "Quagga", "2025550", "zebulon", "Secretnote", "Yolanda", "1987", "Hidden", "Shanghai",
            "Someoneelse",
        ):  # fmt: skip
            assert personal not in payload
        for told in ("gold", "new", "mary", "east", "zoo", "fair", str(10**15)):
            assert told in payload
    assert domain.changed(after, changes).changed == ("name", "birthday")
    assert domain.changed(after, changes).customer.version == 2


def test_a_file_says_what_it_was_made_of() -> None:
    content = stated(phones=["(202) 555-0123"], contacts=[{"name": "Bo"}], addresses=[{"city": "Ulm"}])
    del content["number"]
    customer = domain.create(content, id_=UUID(int=1), number="C-000001", actor="mary", at=AT)
    assert domain.says(customer, content)
    assert not domain.says(customer, {**content, "level": "gold"})


LABEL = st.none() | st.sampled_from(["gold", "iron", "lead"])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "level": LABEL,
        "class": LABEL,
        "status": st.sampled_from(["active", "inactive"]),
        "name": st.sampled_from(["Ann", "Bo"]),
        "tags": st.none() | st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
        "credit_limit_minor": st.none() | st.integers(0, 5),
    },
)


@given(st.lists(CHANGES, max_size=12))
def test_history_leads_back_from_any_file_to_the_first(steps: list[dict[str, Any]]) -> None:
    first = customer = file(level="gold")
    history: list[list[domain.FieldChange]] = []
    for step in steps:
        customer, changes = domain.change(customer, wanted(**step), LATER)
        assert all(change.old != change.new for change in changes)
        if changes:
            history.append(changes)
    assert customer.version == 1 + len(history)
    past = {domain.wire_name(field): getattr(customer, field) for field in domain.STATED}
    for changes in reversed(history):
        for change in changes:
            assert past[change.field] == change.new
            past[change.field] = change.old
    assert past == {domain.wire_name(field): getattr(first, field) for field in domain.STATED}
