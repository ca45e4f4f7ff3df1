"""Refusals, as the rules of a domain raise them."""

import inspect

import pytest

from shared import errors
from shared.errors import Conflict, FieldError, Invalid, NotFound, Refused, Stale

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Refused)]


def test_every_kind_has_its_own_stable_type() -> None:
    kinds = [kind for kind in KINDS if kind is not Refused]
    assert len({kind.type for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(("kind", "status"), [(NotFound, 404), (Conflict, 409), (Stale, 412), (Invalid, 422)])
def test_kinds_have_the_status_http_gives_them(kind: type[Refused], status: int) -> None:
    assert kind("why").status == status


def test_a_refusal_reads_as_a_sentence_with_its_fields() -> None:
    refused = Invalid(
        "Too little.", errors=[FieldError("lines.0.quantity", "must be at least 1", 0)], limit=1
    )
    assert str(refused) == "Too little.; lines.0.quantity: must be at least 1"
    assert refused.extra == {"limit": 1}
