"""What the shapes of requests refuse before any rule is asked."""

import json

import pytest
from pydantic import ValidationError

from customer.archive.importing import fold_cells
from customer.archive.schemas import ChangeCustomer, CreateCustomer, ImportCustomer
from shared.errors import Invalid

GOOD: dict[str, object] = {"type": "person", "name": "Ann"}


def broken(**fields: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        CreateCustomer.model_validate_json(json.dumps({**GOOD, **fields}))
    return [(".".join(map(str, error["loc"])), error["type"]) for error in refused.value.errors()]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("name", "", "string_too_short"),
        ("name", "   ", "string_too_short"),
        ("name", "a" * 201, "string_too_long"),
        ("name", "a\u0000b", "control_character"),
        ("name", "a\nb", "control_character"),
        ("name", "\u200b", "invisible"),
        ("name", 7, "string_type"),
        ("type", "robot", "literal_error"),
        ("status", "gone", "literal_error"),
        ("level", "", "string_too_short"),
        ("credit_limit_minor", -1, "greater_than_equal"),
        ("credit_limit_minor", 10**15 + 1, "less_than_equal"),
        ("credit_limit_minor", 10**40, "less_than_equal"),
        ("credit_limit_minor", 1.5, "int_type"),
        ("credit_limit_minor", "100", "int_type"),
        ("credit_limit_minor", True, "int_type"),
        ("currency", "dollars", "string_too_long"),
        ("birthday", "1990-02-30", "date_parsing"),
        ("birthday", "1849-12-31", "birthday"),
        ("birthday", 5, "date_type"),
        ("time_zone", "Mars/Olympus", "time_zone"),
        ("time_zone", "../../etc/passwd", "time_zone"),
        ("tags", ["x"] * 51, "too_long"),
        ("phones", "202 555 0123", "list_type"),
        ("customer", 1, "extra_forbidden"),
        ("version", 1, "extra_forbidden"),
        ("id", "00000000-0000-0000-0000-000000000001", "extra_forbidden"),
        ("search_text", "x", "extra_forbidden"),
        ("class_", "vip", "extra_forbidden"),
    ],
)
def test_a_value_that_cannot_stand_in_a_file_is_refused(field: str, value: object, kind: str) -> None:
    assert broken(**{field: value}) == [(field, kind)]


def test_an_address_must_name_a_place() -> None:
    assert broken(addresses=[{"label": "home"}]) == [("addresses.0", "empty_address")]
    assert broken(addresses=[{"country": "Germany"}]) == [("addresses.0.country", "string_pattern_mismatch")]


def test_a_contact_has_a_name_and_a_known_role() -> None:
    assert broken(contacts=[{"role": "boss"}]) == [
        ("contacts.0.name", "missing"),
        ("contacts.0.role", "literal_error"),
    ]


@pytest.mark.parametrize("field", ["name", "type", "status", "number"])
def test_what_every_file_has_cannot_be_cleared(field: str) -> None:
    with pytest.raises(ValidationError):
        ChangeCustomer.model_validate_json(json.dumps({field: None}))


def test_a_change_names_only_what_it_names() -> None:
    body = ChangeCustomer.model_validate_json('{"level": null, "class": "vip", "reason": "why not"}')
    assert body.stated("USD") == {"level": None, "class_": "vip"}


def test_a_row_without_a_number_does_not_speak_of_the_number() -> None:
    assert "number" not in ImportCustomer.model_validate(GOOD).stated("USD")
    assert ImportCustomer.model_validate({**GOOD, "number": "7"}).stated("USD")["number"] == "7"


def test_cells_of_a_csv_hold_lists_and_json() -> None:
    cells = {
        "type": "company", "name": "Acme", "credit_limit_minor": "500", "birthday": "1990-01-01",
        "phones": "202 555 0123; +12025550124;", "tags": "a;b", "class": "vip",
        "contacts": '[{"name": "Bo", "role": "buyer"}]',
        "id": "00000000-0000-0000-0000-000000000001",
    }  # fmt: skip
    row = ImportCustomer.model_validate(fold_cells(cells), strict=False)
    assert (row.credit_limit_minor, row.class_) == (500, "vip")
    assert row.phones == ["202 555 0123", "+12025550124"]
    assert row.contacts[0].role == "buyer"


def test_a_cell_that_should_be_json_and_is_not_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as refused:
        fold_cells({"contacts": "Bo"})
    assert refused.value.errors[0].field == "contacts"
