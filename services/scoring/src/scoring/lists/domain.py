"""The figures of everybody, held in columns: any sort under any filters, exactly counted, in milliseconds.

An index serves one sort under one filter, and costs the writer something with every score. Looking through a
million rows takes PostgreSQL a tenth of a second and numpy a twentieth of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scoring.bands.domain import BANDS
from scoring.facts.reading import YEAR_2000, instant
from scoring.models.arrays import Bools, Ints
from shared.events.scoring import Band

COLUMNS: Mapping[str, str] = {
    "customer_id": "S16",
    "churn": "f8",
    "band": "i2",
    "p_alive": "f8",
    "expected_purchases": "f8",
    "loyalty": "f8",
    "value_minor": "i8",
    "model_version": "i4",
    "weights_version": "i4",
    "scored_at": "i8",
}
"""What is held of each customer: the id's bytes, the band's place from 0 (−1: no figures), µs since 2000."""

_SAMPLE = 8192


class Listed(NamedTuple):
    """A row of the list."""

    customer_id: UUID
    churn: float
    band: Band
    p_alive: float
    expected_purchases: float
    loyalty: float
    value_minor: int
    model_version: int
    weights_version: int
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which customers, in which order: by a column, those alike in it by id, all of it reversed if `down`.

    `ranges` are the least and greatest values allowed, both included, by column; no `bands`: all.
    """

    column: str
    down: bool = False
    bands: frozenset[Band] = frozenset()
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    customer_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, and how many there are under the filters on all pages, by band."""

    rows: list[Listed]
    by_band: Mapping[Band, int]


class Columns:
    """Figures by customer, in the order in which the customers came; the order of their ids is kept apart.

    So that customers whose ids lie between the others', wherever they come from, move only row numbers.
    """

    def __init__(self) -> None:
        self._room = {name: np.empty(0, kind) for name, kind in COLUMNS.items()}
        self._of = dict(self._room)
        self._by_id = np.empty(0, dtype=np.int64)  # the rows in the order of their ids
        self._rank = np.empty(0, dtype=np.int64)  # of each row its place in that order

    def __len__(self) -> int:
        return len(self._by_id)

    def take_in(self, changed: NDArray[Any]) -> None:
        """Rows with the columns as fields, one per customer: new ones, and in place of what was there."""
        changed = changed[np.argsort(changed["customer_id"])]
        ids, new = self._of["customer_id"], changed["customer_id"]
        places = np.searchsorted(ids, new, sorter=self._by_id)
        known = places < len(ids)
        known[known] = ids[self._by_id[places[known]]] == new[known]
        rows = self._by_id[places[known]]
        for name, column in self._of.items():
            column[rows] = changed[name][known]
        if not known.all():
            self._append(places[~known], changed[~known])

    def _append(self, places: Ints, new: NDArray[Any]) -> None:
        """Put each at the end, and its number before the row that is in its place in the order of ids."""
        before, size = len(self), len(self) + len(new)
        for name, room in self._room.items():
            if size > len(room):
                self._room[name] = np.empty(size + size // 16, room.dtype)
                self._room[name][:before] = room[:before]
            self._room[name][before:size] = new[name]
        self._of = {name: room[:size] for name, room in self._room.items()}
        self._by_id = np.insert(self._by_id, places, np.arange(before, size))
        self._rank = np.empty(size, dtype=np.int64)
        self._rank[self._by_id] = np.arange(size)

    def page(self, wanted: Wanted, after: tuple[Any, ...] | None, limit: int) -> Found:
        """The first rows of those wanted; `after` the value and id of the last row of the page before."""
        keep = self._wanted(wanted)
        in_band = [int(np.count_nonzero(keep & (self._of["band"] == place))) for place in range(len(BANDS))]
        values = self._of[wanted.column]
        if after is not None:
            keep &= self._beyond(values, after, wanted.down)
        first = _first(keep, values, self._rank, limit, wanted.down)
        rows = zip(*(column[first].tolist() for column in self._of.values()), strict=True)
        return Found([_listed(*row) for row in rows], dict(zip(BANDS, in_band, strict=True)))

    def _wanted(self, wanted: Wanted) -> Bools:
        keep = np.asarray(self._of["band"] >= 0)
        if wanted.bands:
            keep &= np.any([self._of["band"] == BANDS.index(band) for band in wanted.bands], axis=0)
        for column, (least, most) in wanted.ranges.items():
            if least is not None:
                keep &= self._of[column] >= least
            if most is not None:
                keep &= self._of[column] <= most
        if wanted.customer_id is not None:
            keep &= self._of["customer_id"] == np.bytes_(wanted.customer_id.bytes)
        return keep

    def _beyond(self, values: NDArray[Any], after: tuple[Any, ...], down: bool) -> Bools:
        """Which rows come after that value and id."""
        value, last = after[0], np.bytes_(after[1].bytes)
        side: Literal["left", "right"] = "left" if down else "right"
        place = np.searchsorted(self._of["customer_id"], last, side, sorter=self._by_id)
        later = self._rank < place if down else self._rank >= place
        return np.asarray((values < value if down else values > value) | ((values == value) & later))


def _listed(
    customer_id: bytes, churn: float, band: int, p_alive: float, expected: float, loyalty: float, value: int,
    model: int, weights: int, scored_at: int,
) -> Listed:  # fmt: skip
    return Listed(
        UUID(bytes=customer_id.ljust(16, b"\0")),  # numpy leaves the last zeros off
        churn, BANDS[band], p_alive, expected, loyalty, value, model, weights, instant(YEAR_2000 + scored_at),
    )  # fmt: skip


def _first(keep: Bools, values: NDArray[Any], rank: Ints, limit: int, down: bool) -> Ints:
    """The first rows of those kept, in the order of their values, those alike in that of their ranks."""
    rows = _candidates(keep, values, rank, limit, down)
    order = np.lexsort((rank[rows], values[rows]))
    return np.asarray(rows[(order[::-1] if down else order)[:limit]])


def _candidates(keep: Bools, values: NDArray[Any], rank: Ints, limit: int, down: bool) -> Ints:
    """The rows among whom the first of those kept are: a few times as many, judged by a sample."""
    step = max(1, len(values) // _SAMPLE)
    sample = values[::step][keep[::step]]
    enough = 8 + 4 * limit // step
    if len(sample) > enough:
        at = len(sample) - enough if down else enough - 1
        edge = np.partition(sample, at)[at]
        better = np.flatnonzero(keep & (values > edge if down else values < edge))
        if len(better) >= limit:
            return better
        missing = limit - len(better)
        alike = _candidates(keep & (values == edge), rank, rank, missing, down)  # no rank comes twice
        if len(alike) >= missing:
            return np.concatenate([better, alike])
    return np.flatnonzero(keep)
