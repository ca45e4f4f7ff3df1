"""Who may say what to whom."""

import pytest

from service_desk.comments.domain import visibility
from shared.errors import Forbidden


def test_the_desk_speaks_internally_unless_it_says_otherwise() -> None:
    assert visibility(None, by_customer=False) == "internal"
    assert visibility("public", by_customer=False) == "public"


def test_a_customer_always_speaks_publicly() -> None:
    assert visibility(None, by_customer=True) == visibility("public", by_customer=True) == "public"
    with pytest.raises(Forbidden):
        visibility("internal", by_customer=True)
