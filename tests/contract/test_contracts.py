"""What other systems rely on: wire names, schemas, and records written by earlier versions."""

import json
from pathlib import Path

import msgspec
import pytest

from shared.events import contracts
from shared.events.event import EVENTS, decode, encode

GOLDEN = Path(__file__).parent / "golden"
COMMITTED = Path(__file__).parents[2] / "docs" / "events"
PERSONAL = {
    "name",
    "phone",
    "phones",
    "email",
    "emails",
    "address",
    "addresses",
    "subject",
    "description",
    "notes",
}


def test_the_committed_contracts_are_what_the_code_declares() -> None:
    for path, text in contracts.documents().items():
        assert (COMMITTED / path).read_text() == text, f"{path} is stale: run make contracts"


def test_nothing_that_was_published_has_been_broken() -> None:
    assert contracts.broken_against(COMMITTED) == []


@pytest.mark.parametrize("event", contracts.declared(), ids=lambda e: e.wire_name)
def test_every_event_has_a_golden_record_that_still_reads_the_same(event: type) -> None:
    golden = (GOLDEN / f"{event.wire_name}.json").read_bytes()  # type: ignore[attr-defined]
    read = decode(event.wire_name, golden)  # type: ignore[attr-defined]
    assert json.loads(encode(read)) == json.loads(golden)


@pytest.mark.parametrize("event", contracts.declared(), ids=lambda e: e.wire_name)
def test_unknown_fields_of_a_newer_publisher_are_passed_over(event: type) -> None:
    newer = json.loads((GOLDEN / f"{event.wire_name}.json").read_bytes())  # type: ignore[attr-defined]
    newer["added_later"] = {"anything": [1, 2]}
    decode(event.wire_name, msgspec.json.encode(newer))  # type: ignore[attr-defined]


def test_a_customers_events_have_no_personal_field() -> None:
    for name, event in EVENTS.items():
        if not name.startswith(("customer.", "orders.order", "orders.receipt", "service_desk.", "scoring.")):
            continue
        for shape in contracts.schema(event)["$defs"].values():
            assert not PERSONAL & set(shape.get("properties", {})), f"{name} carries personal data"


def test_removing_or_requiring_a_field_is_a_breaking_change() -> None:
    before = {
        "$defs": {"A": {"properties": {"x": {"type": "string"}, "y": {"type": "integer"}}, "required": ["x"]}}
    }
    now = {
        "$defs": {
            "A": {"properties": {"x": {"type": "integer"}, "z": {"type": "string"}}, "required": ["x", "z"]}
        }
    }
    found = list(contracts.breaking(before, now))
    assert [line.split()[0] for line in found] == ["A.x", "A.y", "A.z"]


def test_an_optional_addition_is_no_breaking_change() -> None:
    before = {"$defs": {"A": {"properties": {"x": {"type": "string"}}, "required": ["x"]}}}
    now = {
        "$defs": {"A": {"properties": {"x": {"type": "string"}, "y": {"default": None}}, "required": ["x"]}}
    }
    assert list(contracts.breaking(before, now)) == []
