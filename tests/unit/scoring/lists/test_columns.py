"""Columns of figures: pages of them in any order under any filters, as a plain sort and filter gives them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.bands.domain import BANDS
from scoring.lists.domain import COLUMNS, Columns, Listed, Wanted

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ROW = np.dtype([*COLUMNS.items()])

# Few values, so that many are equal; ids that differ only by zeros at the end, and in their highest bit.
ids = st.sampled_from(
    [UUID(bytes=bytes([first, 7, last] + [0] * 13)) for first in (0, 127, 255) for last in range(4)]
)
figures = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
rows = st.builds(
    Listed,
    customer_id=ids,
    churn=figures,
    band=st.sampled_from(BANDS),
    p_alive=figures,
    expected_purchases=figures,
    loyalty=figures,
    value_minor=st.sampled_from([0, 5, 2**62]),
    model_version=st.integers(0, 2),
    weights_version=st.integers(1, 2),
    scored_at=st.just(AT),
)
bounds = st.tuples(st.none() | figures, st.none() | figures)
wanted = st.builds(
    Wanted,
    column=st.sampled_from(["churn", "loyalty", "value_minor", "band", "model_version"]),
    down=st.booleans(),
    bands=st.frozensets(st.sampled_from(BANDS), max_size=2),
    ranges=st.dictionaries(st.sampled_from(["churn", "loyalty"]), bounds, max_size=2),
    customer_id=st.none() | ids,
)


def changed(some: list[Listed], *, gone: bool = False) -> NDArray[Any]:
    """Rows as the database tells of them."""
    found = np.zeros(len(some), _ROW)
    for place, one in enumerate(some):
        micros = (one.scored_at - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        band = -1 if gone else BANDS.index(one.band)
        found[place] = (one.customer_id.bytes, one.churn, band, *one[3:9], micros)
    return found


def value(row: Listed, column: str) -> Any:
    return BANDS.index(row.band) if column == "band" else getattr(row, column)


def passes(row: Listed, want: Wanted) -> bool:
    return (
        (not want.bands or row.band in want.bands)
        and (want.customer_id is None or row.customer_id == want.customer_id)
        and all(
            (least is None or getattr(row, name) >= least) and (most is None or getattr(row, name) <= most)
            for name, (least, most) in want.ranges.items()
        )
    )


@given(
    st.lists(st.lists(rows, max_size=8, unique_by=lambda row: row.customer_id), max_size=4),
    wanted,
    st.integers(1, 5),
)
def test_pages_are_what_a_plain_sort_and_filter_gives(
    batches: list[list[Listed]], want: Wanted, limit: int
) -> None:
    columns, known = Columns(), dict[UUID, Listed]()
    for batch in batches:
        columns.take_in(changed(batch))
        known |= {row.customer_id: row for row in batch}
    expected = sorted(
        (row for row in known.values() if passes(row, want)),
        key=lambda row: (value(row, want.column), row.customer_id),
        reverse=want.down,
    )
    found: list[Listed] = []
    after = None
    while True:
        page = columns.page(want, after, limit)
        assert page.by_band == {band: sum(row.band == band for row in expected) for band in BANDS}
        found += page.rows
        if len(page.rows) < limit:
            break
        after = (value(found[-1], want.column), found[-1].customer_id)
    assert found == expected


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("column", ["churn", "loyalty", "value_minor", "band", "model_version"])
@pytest.mark.parametrize("ranges", [{}, {"churn": (0.2, None)}, {"churn": (0.999, None)}])
def test_pages_of_many_are_those_of_a_plain_sort(
    column: str, down: bool, ranges: dict[str, tuple[float | None, float | None]]
) -> None:
    random, many = np.random.default_rng(5), 40_000
    some = np.zeros(many, _ROW)
    some["customer_id"] = np.frombuffer(random.bytes(16 * many), "S16")
    some["churn"], some["loyalty"] = random.random(many), np.round(random.normal(50, 9, many))
    some["band"], some["value_minor"] = random.integers(0, 4, many), random.exponential(9000, many)
    columns = Columns()
    for part in np.array_split(some, 7):  # each puts new ones between those before
        columns.take_in(part)
    least = ranges["churn"][0] if ranges else 0
    kept = some[some["churn"] >= least]
    in_order = kept[np.lexsort((kept["customer_id"], kept[column]))]
    expected = (in_order[::-1] if down else in_order)["customer_id"].tolist()
    want, found, after = Wanted(column, down, ranges=ranges), list[bytes](), None
    for _ in range(4):
        page = columns.page(want, after, 60)
        assert sum(page.by_band.values()) == len(expected)
        found += [row.customer_id.bytes.rstrip(b"\0") for row in page.rows]
        if page.rows:
            after = (value(page.rows[-1], column), page.rows[-1].customer_id)
    assert found == expected[:240]


@given(st.lists(rows, min_size=1, max_size=8, unique_by=lambda row: row.customer_id))
def test_whoever_has_no_figures_any_more_is_not_listed_until_they_have_again(some: list[Listed]) -> None:
    columns = Columns()
    columns.take_in(changed(some))
    columns.take_in(changed(some[:1], gone=True))
    without = columns.page(Wanted("churn"), None, 10)
    assert {row.customer_id for row in without.rows} == {row.customer_id for row in some[1:]}
    assert sum(without.by_band.values()) == len(some) - 1
    columns.take_in(changed(some[:1]))
    assert len(columns.page(Wanted("churn"), None, 10).rows) == len(some) == len(columns)


def test_a_page_may_go_on_after_somebody_who_has_left_the_list() -> None:
    rows = [Listed(UUID(int=n), 0.5, "low", 1.0, 1.0, 50.0, 100, 1, 1, AT) for n in range(4)]
    columns = Columns()
    columns.take_in(changed(rows))
    columns.take_in(changed(rows[1:2], gone=True))
    for down, expected in ((False, rows[2:]), (True, rows[:1])):
        assert columns.page(Wanted("churn", down), (0.5, rows[1].customer_id), 10).rows == expected
    nobody = UUID(int=2**100)
    assert columns.page(Wanted("churn"), (0.5, nobody), 10).rows == []
    assert len(columns.page(Wanted("churn", down=True), (0.5, nobody), 10).rows) == 3
