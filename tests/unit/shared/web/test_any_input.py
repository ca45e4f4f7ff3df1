"""Whatever is sent, the answer is a value or a refusal that any JSON reader takes."""

import json
from typing import Annotated, Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from shared.errors import FieldError, Invalid
from shared.web.fields import Body, Instant, Minor, Name, Quantity, Text
from shared.web.problems import answer_problem, from_validation


class Line(Body):
    product_id: UUID
    quantity: Quantity


class Given(Body):
    name: Name | None = None
    note: Text | None = None
    lines: Annotated[list[Line], Field(max_length=3, default_factory=list)]
    at: Instant | None = None
    amount: Minor | None = None
    rate: float | None = None


FIELDS = st.sampled_from([*Given.model_fields, "product_id", "quantity", "other"]) | st.text(st.characters())
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**4000)
    | st.floats()
    | st.text(st.characters())
    | st.datetimes().map(lambda at: at.isoformat() + "Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
READ = TypeAdapter(Given)


def _check_refusal(error: ValidationError) -> None:
    refused = from_validation(error.errors(include_url=False))
    assert refused.status in (400, 422)
    _check_document(bytes(answer_problem(refused).body))


def _check_document(body: bytes) -> None:
    def not_json(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(body.decode("utf-8"), parse_constant=not_json)
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    assert all(len(str(error.get("value", ""))) < 1000 for error in document.get("errors", []))


@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_json_is_read_or_refused(given_: dict[str, Any]) -> None:
    try:
        READ.validate_json(json.dumps(given_))
    except ValidationError as error:
        _check_refusal(error)


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        READ.validate_json(raw)
    except ValidationError as error:
        _check_refusal(error)


@given(JSON | st.binary() | st.uuids() | st.decimals() | st.complex_numbers(), st.text(st.characters()))
def test_any_value_can_be_part_of_a_refusal(value: Any, text: str) -> None:
    refused = Invalid(text, errors=[FieldError(text, text, value)], also=value)
    _check_document(bytes(answer_problem(refused).body))
