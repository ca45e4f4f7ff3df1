"""The figures of everybody, held in columns: any sort under any filters, exactly counted, in milliseconds.

An index serves one sort under one filter, and costs the writer something with every score. Looking through a
million rows takes PostgreSQL a tenth of a second and numpy a twentieth of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, get_args
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scoring.models.arrays import Ints
from shared.events.scoring import Band

BANDS: tuple[Band, ...] = get_args(Band)

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

_2000 = datetime(2000, 1, 1, tzinfo=UTC)


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
    """Figures by customer, in the order of their ids."""

    def __init__(self) -> None:
        self._of = {name: np.empty(0, kind) for name, kind in COLUMNS.items()}

    def __len__(self) -> int:
        return len(self._of["customer_id"])

    def take_in(self, changed: NDArray[Any]) -> None:
        """Rows with the columns as fields, one per customer: new ones, and in place of what was there."""
        changed = changed[np.argsort(changed["customer_id"])]
        ids, new = self._of["customer_id"], changed["customer_id"]
        places = np.searchsorted(ids, new)
        known = places < len(ids)
        known[known] = ids[places[known]] == new[known]
        for name, column in self._of.items():
            column[places[known]] = changed[name][known]
        if not known.all():
            for name, column in self._of.items():
                self._of[name] = np.insert(column, places[~known], changed[name][~known])

    def page(self, wanted: Wanted, after: tuple[Any, ...] | None, limit: int) -> Found:
        """The first rows of those wanted; `after` the value and id of the last row of the page before."""
        rows = self._where(wanted)
        counts = np.bincount(self._of["band"][rows], minlength=len(BANDS)).tolist()
        values = self._of[wanted.column][rows]
        if after is not None:
            value, last = after[0], np.bytes_(after[1].bytes)
            place = np.searchsorted(self._of["customer_id"], last, "left" if wanted.down else "right")
            if wanted.down:
                beyond = (values < value) | ((values == value) & (rows < place))
            else:
                beyond = (values > value) | ((values == value) & (rows >= place))
            rows, values = rows[beyond], values[beyond]
        first = rows[_first(values, limit, wanted.down)]
        return Found([self._row(row) for row in first.tolist()], dict(zip(BANDS, counts, strict=True)))

    def _where(self, wanted: Wanted) -> Ints:
        keep = self._of["band"] >= 0
        if wanted.bands:
            chosen = np.array([band in wanted.bands for band in BANDS] + [False])  # the last for −1
            keep &= chosen[self._of["band"]]
        for column, (least, most) in wanted.ranges.items():
            if least is not None:
                keep &= self._of[column] >= least
            if most is not None:
                keep &= self._of[column] <= most
        if wanted.customer_id is not None:
            keep &= self._of["customer_id"] == np.bytes_(wanted.customer_id.bytes)
        return np.flatnonzero(keep)

    def _row(self, row: int) -> Listed:
        customer_id, churn, band, p_alive, expected, loyalty, value, model, weights, scored_at = (
            self._of[name][row].item() for name in COLUMNS
        )
        return Listed(
            UUID(bytes=customer_id.ljust(16, b"\0")),  # numpy leaves the last zeros off
            churn, BANDS[band], p_alive, expected, loyalty, value, model, weights,
            _2000 + timedelta(microseconds=scored_at),
        )  # fmt: skip


def _first(values: NDArray[Any], limit: int, down: bool) -> Ints:
    """The places of the first values in order; equal ones in the order of their places."""
    places = np.arange(len(values))
    if limit < len(values):
        at = len(values) - limit if down else limit - 1
        edge = np.partition(values, at)[at]
        better = np.flatnonzero(values > edge if down else values < edge)
        equal = np.flatnonzero(values == edge)
        missing = limit - len(better)
        places = np.concatenate([better, equal[-missing:] if down else equal[:missing]])
    order = np.lexsort((places, values[places]))
    return np.asarray(places[order[::-1] if down else order])
