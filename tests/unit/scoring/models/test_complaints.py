from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models.complaints import PHASES, SEVERITIES, WINDOW_WEEKS, Complaint, Schedules, running

complaint = st.builds(
    lambda opened, lasted, outcome, severity: Complaint(
        opened, None if lasted is None else opened + lasted, outcome if lasted is not None else None, severity
    ),
    st.floats(-20, 150),
    st.none() | st.floats(-2, 40),
    st.sampled_from(["recovered", "mishandled", None]),
    st.sampled_from(["minor", "major", "critical"]),
)


def z_at(complaints: list[Complaint], u: float) -> list[float]:
    """The documented rule, word by word."""
    z = [0.0, 0.0, 0.0]
    for c in complaints:
        resolved = np.inf if c.resolved is None else max(c.resolved, c.opened)
        spells = [(c.opened, resolved, "open")]
        if c.outcome:
            spells.append((resolved, resolved + WINDOW_WEEKS[c.outcome], c.outcome))
        for start, end, phase in spells:
            if max(start, 0) <= u < end:
                j = PHASES.index(phase)
                z[j] = max(z[j], SEVERITIES[c.severity])
    return z


def z_of(schedules: Schedules, place: int, u: float) -> list[float]:
    first, last = schedules.first[place], schedules.first[place + 1]
    starts = schedules.start[first:last]
    z: list[float] = schedules.z[first + int(np.searchsorted(starts, u, "right")) - 1].tolist()
    return z


@given(st.lists(complaint, min_size=1, max_size=6), st.lists(st.floats(0, 200), max_size=10), st.randoms())
def test_overlapping_complaints_follow_the_rule_in_any_order(
    complaints: list[Complaint], instants: list[float], random: Random
) -> None:
    shuffled = list(complaints)
    random.shuffle(shuffled)
    schedules, same = Schedules.of({0: complaints}), Schedules.of({0: shuffled})
    np.testing.assert_array_equal(schedules.z, same.z)
    np.testing.assert_array_equal(schedules.start, same.start)
    for u in [*instants, *schedules.start]:
        expected = z_at(complaints, u)
        assert (z_of(schedules, 0, u) if schedules.customer.size else [0, 0, 0]) == expected


def test_a_recovered_complaint_is_open_then_felt_as_recovered_then_over() -> None:
    schedules = Schedules.of({4: [Complaint(10, 12, "recovered", "critical")]})
    assert schedules.customer.tolist() == [4]
    assert schedules.start.tolist() == [0, 10, 12, 12 + WINDOW_WEEKS["recovered"]]
    assert schedules.z.tolist() == [[0, 0, 0], [1.5, 0, 0], [0, 0, 1.5], [0, 0, 0]]


def test_an_unresolved_complaint_stays_open() -> None:
    schedules = Schedules.of({0: [Complaint(10)]})
    assert schedules.z.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_a_complaint_resolved_before_it_was_opened_was_open_for_no_time() -> None:
    schedules = Schedules.of({0: [Complaint(10, 9, "mishandled")]})
    assert schedules.start.tolist() == [0, 10, 10 + WINDOW_WEEKS["mishandled"]]


def test_taking_rows_keeps_each_customer_s_pieces() -> None:
    schedules = Schedules.of({1: [Complaint(3)], 4: [Complaint(5, 6, "recovered")], 9: [Complaint(7)]})
    some = schedules.take(np.array([0, 4, 5, 1]))
    assert some.customer.tolist() == [1, 3]
    assert some.start.tolist() == [0, 5, 6, 6 + WINDOW_WEEKS["recovered"], 0, 3]
    assert Schedules.none().take(np.array([0, 1])).customer.size == 0


def test_a_phase_neutralised_has_no_effect() -> None:
    schedules = Schedules.of({0: [Complaint(3, 5, "mishandled")]}).without(0)
    assert schedules.z[:, 0].tolist() == [0, 0, 0, 0]
    assert schedules.z[:, 1].tolist() == [0, 0, 1, 0]


def test_unknown_severities_are_refused() -> None:
    with pytest.raises(KeyError):
        Schedules.of({0: [Complaint(3, severity="huge")]})  # type: ignore[arg-type]


def test_running_sums_are_each_customers_own_however_many_pieces() -> None:
    complaints = {1: [Complaint(3)], 2: [Complaint(i, i + 0.5) for i in range(60)], 5: [Complaint(5, 6)]}
    schedules = Schedules.of(complaints)
    amounts = np.random.default_rng(1).uniform(size=len(schedules.start))
    expected = [amounts[schedules.first[owner] : piece].sum() for piece, owner in enumerate(schedules.owner)]
    np.testing.assert_allclose(running(schedules, amounts), expected)
