"""When something happened, as a caller says it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Forbidden, Invalid
from shared.instants import SKEW, When, require_period

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


def when(given_: datetime | None, scope: str | None = "orders:import") -> When:
    return When("ordered_at", given_, NOW, scope)


def test_what_nobody_dates_happens_now() -> None:
    assert when(None).instant() == NOW


@given(st.timedeltas(-SKEW, SKEW))
def test_a_clock_a_little_off_is_taken_for_now_and_never_for_later(off: timedelta) -> None:
    assert when(NOW + off).instant() == min(NOW + off, NOW)


def test_the_future_is_refused_whoever_asks() -> None:
    with pytest.raises(Invalid, match="must not be in the future") as refused:
        when(NOW + SKEW + MOMENT, None).instant()
    assert refused.value.errors[0].field == "ordered_at"


def test_the_past_needs_a_scope_and_the_refusal_names_it() -> None:
    assert when(NOW - 900 * HOUR, None).instant() == NOW - 900 * HOUR
    with pytest.raises(Forbidden, match="needs the scope orders:import") as refused:
        when(NOW - SKEW - MOMENT).instant()
    assert refused.value.extra == {"missing_scope": "orders:import"}


def test_what_must_follow_something_never_precedes_it() -> None:
    ahead = NOW + timedelta(seconds=3)
    assert when(None).instant(not_before=ahead, called="placed_at") == ahead
    assert when(NOW + SKEW).instant(not_before=ahead, called="placed_at") == ahead
    with pytest.raises(Invalid, match=r"must not be before placed_at 2026-03-01T12:00:03Z"):
        when(NOW).instant(not_before=ahead, called="placed_at")


def test_a_period_ends_after_it_begins() -> None:
    require_period("opened_from", NOW, "opened_to", NOW + HOUR)
    require_period("opened_from", None, "opened_to", NOW)
    with pytest.raises(Invalid, match="opened_to 2026-03-01T12:00:00Z must be after opened_from") as refused:
        require_period("opened_from", NOW, "opened_to", NOW)
    assert refused.value.errors[0].field == "opened_to"
