"""Churn bands: where each begins, what it takes to leave one, and what becomes of customers who are due."""

from bisect import bisect
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple, get_args
from uuid import UUID

import numpy as np

from scoring.bands.looks import next_looks
from scoring.care.domain import Served
from scoring.facts.domain import WEEK, State
from scoring.facts.reading import instant, micros
from scoring.models.arrays import Bools, Floats
from scoring.models.crossing import crossing
from scoring.models.score import Customers, churn
from scoring.serving.figures import customers_of, figures, standings
from shared.events.scoring import Band

BANDS: tuple[Band, ...] = get_args(Band)
BEGINS = (0.0, 0.40, 0.65, 0.85)
"""The churn probability, within the default horizon, from which on each band is entered."""
HYSTERESIS = 0.05
"""A band is left downwards only when churn has fallen this far below its beginning: so nobody flutters."""
_LEFT_BELOW = tuple(begin - HYSTERESIS for begin in BEGINS)

SET_ASIDE = timedelta(hours=1)
"""After that long, a customer whose score could not be computed is tried again."""

_SECOND = 1_000_000


def band_of(churn: float, before: Band | None) -> Band:
    """The band of somebody who was in the band `before`; None: in none yet."""
    reached = bisect(BEGINS, churn) - 1
    if before is None:
        return BANDS[reached]
    held = bisect(_LEFT_BELOW, churn) - 1
    return BANDS[max(reached, min(held, BANDS.index(before)))]


def next_beginning(band: Band) -> float | None:
    """The churn at which the next band begins; None: it is the last one."""
    place = BANDS.index(band) + 1
    return BEGINS[place] if place < len(BEGINS) else None


class Due(NamedTuple):
    """A customer to be scored: their state, and the band last told."""

    customer_id: UUID
    state: State
    band: Band | None
    due_at: datetime | None = None
    begins_band: bool = False
    written_by: int = 0
    """The transaction that last wrote their state or timer: while it is the same, both are."""

    @property
    def begins_at(self) -> datetime | None:
        """When their next band was to begin, unless something happened since."""
        return self.due_at if self.begins_band else None


class Timer(NamedTuple):
    """When somebody is due again if nothing happens, None: when something does; and if a band begins then."""

    at: datetime | None
    begins_band: bool = False


class Score(NamedTuple):
    """A customer's figures as lists show them."""

    customer_id: UUID
    churn: float
    band: Band
    p_alive: float
    expected_purchases: float
    loyalty: float
    value_minor: int


class Change(NamedTuple):
    """A customer's band is another than the one last told; time alone began it at `crossed_at`, if it did."""

    customer_id: UUID
    before: Band | None
    after: Band
    churn: float
    crossed_at: datetime | None


@dataclass(slots=True)
class Outcome:
    """What is to be stored and told."""

    scores: list[Score] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    """Customers without a purchase (any more): they have no score."""
    timers: dict[UUID, Timer] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    failures: dict[UUID, str] = field(default_factory=dict)
    """Customers whose score could not be computed, and why."""

    def add(self, other: "Outcome") -> None:
        """Take over what became of other customers."""
        self.scores += other.scores
        self.gone += other.gone
        self.timers |= other.timers
        self.changes += other.changes
        self.failures |= other.failures

    def only(self, customers: Set[UUID]) -> "Outcome":
        """The part of it that is about these customers."""
        return Outcome(
            [score for score in self.scores if score.customer_id in customers],
            [customer_id for customer_id in self.gone if customer_id in customers],
            {who: timer for who, timer in self.timers.items() if who in customers},
            [change for change in self.changes if change.customer_id in customers],
            {who: problem for who, problem in self.failures.items() if who in customers},
        )


def score_all(due: Sequence[Due], served: Served, horizon_days: int, now: datetime) -> Outcome:
    """Score them as of now; one whose score cannot be computed is set aside, and does not stop the others."""
    outcome = _of_each(due, lambda some: score_due(some, served, horizon_days, now))
    outcome.timers |= dict.fromkeys(outcome.failures, Timer(now + SET_ASIDE))
    return outcome


def _of_each(due: Sequence[Due], compute: Callable[[Sequence[Due]], Outcome]) -> Outcome:
    """Of all together, as that is fastest; where it fails, of each half, so that who failed is found."""
    try:
        return compute(due)
    except Exception as problem:
        if len(due) == 1:
            return Outcome(failures={due[0].customer_id: repr(problem)})
    outcome, middle = Outcome(), len(due) // 2
    for half in (due[:middle], due[middle:]):
        outcome.add(_of_each(half, compute))
    return outcome


def score_due(due: Sequence[Due], served: Served, horizon_days: int, now: datetime) -> Outcome:
    """Score them as of now."""
    outcome = Outcome(
        gone=[one.customer_id for one in due if not one.state.purchases],
        timers={one.customer_id: Timer(None) for one in due},
    )
    bought = [one for one in due if one.state.purchases]
    if not bought:
        return outcome
    states = [one.state for one in bought]
    people = customers_of(states, micros(now))
    found = figures(people, served, horizon_days / 7)
    loyal = standings(states, people, served)
    if not np.isfinite([found.churn, found.p_alive, found.expected_purchases]).all():
        raise ArithmeticError("a figure is not a number")
    bands = _bands(bought, found.churn)
    outcome.scores = list(
        map(
            Score,
            [one.customer_id for one in bought],
            found.churn.tolist(),
            bands,
            found.p_alive.tolist(),
            found.expected_purchases.tolist(),
            np.nan_to_num(loyal.index).tolist(),
            found.value_minor.tolist(),
        )
    )
    goals = np.array([next_beginning(band) or np.inf for band in bands])
    looks = next_looks(people, found, loyal, goals, served, horizon_days / 7)
    since = micros(now)
    for one, weeks, begins in zip(bought, looks.weeks.tolist(), looks.begins_band.tolist(), strict=True):
        if weeks < np.inf:
            at = instant(_known_at(one.state, since) + ceil(weeks * WEEK))
            outcome.timers[one.customer_id] = Timer(at, begins)
    outcome.changes = _changes(bought, people, found.churn, bands, served, horizon_days / 7, micros(now))
    return outcome


def _bands(due: Sequence[Due], risk: Floats) -> list[Band]:
    return [band_of(each, one.band) for each, one in zip(risk.tolist(), due, strict=True)]


def changes_of(due: Sequence[Due], served: Served, horizon_days: int, now: datetime) -> Outcome:
    """Only whose band is another than the one last told, as of now: a small part of the work of a score.

    Whoever's band cannot be computed does not stop the others.
    """
    return _of_each(due, lambda some: Outcome(changes=_changes_of(some, served, horizon_days, now)))


def _changes_of(due: Sequence[Due], served: Served, horizon_days: int, now: datetime) -> list[Change]:
    bought = [one for one in due if one.state.purchases]
    if not bought:
        return []
    people = customers_of([one.state for one in bought], micros(now))
    risk = np.clip(churn(people, served.model, horizon_days / 7), 0.0, 1.0)
    if not np.isfinite(risk).all():
        raise ArithmeticError("a churn probability is not a number")
    return _changes(bought, people, risk, _bands(bought, risk), served, horizon_days / 7, micros(now))


def _known_at(state: State, now: int) -> int:
    """Now, or the last purchase, where the publisher's clock is ahead: until then time stands still."""
    return now if state.last_at is None else max(now, state.last_at)


def _changes(
    due: Sequence[Due], people: Customers, risk: Floats, bands: Sequence[Band], served: Served,
    horizon: float, now: int,
) -> list[Change]:  # fmt: skip
    """Of those whose band is another than the one last told."""
    rows = [row for row, one in enumerate(due) if bands[row] != one.band]
    changed, after = [due[row] for row in rows], [bands[row] for row in rows]
    some = people.take(np.array(rows, dtype=np.int64))
    crossed = _crossed_at(changed, some, after, served, horizon, now)
    return [
        Change(one.customer_id, one.band, band, churn, at)
        for one, band, churn, at in zip(changed, after, risk[rows].tolist(), crossed, strict=True)
    ]


def _crossed_at(
    due: Sequence[Due], people: Customers, bands: Sequence[Band], served: Served, horizon: float, now: int
) -> list[datetime | None]:
    """When time alone took each over the beginning of their band; None where what happened did."""
    found: list[datetime | None] = [None] * len(due)
    rows = [row for row, band in enumerate(bands) if band != BANDS[0]]
    if not rows:
        return found
    since = np.array([_last_happened(due[row].state, now) for row in rows], dtype=np.float64)
    firsts = np.array([due[row].state.first_at for row in rows], dtype=np.float64)
    begins = np.array([BEGINS[BANDS.index(bands[row])] for row in rows])
    some = people.take(np.array(rows, dtype=np.int64))
    foreseen = _as_foreseen([due[row] for row in rows], some, since, firsts, begins, served, horizon)
    for row, was in zip(rows, foreseen.tolist(), strict=True):
        if was:
            found[row] = due[row].begins_at
    other = np.flatnonzero(~foreseen)
    if other.size:
        then = replace(some.take(other), T=(since[other] - firsts[other]) / WEEK)
        after = crossing(then, served.model, horizon, begins[other])
        for place, at, weeks in zip(other.tolist(), since[other], after, strict=True):
            if 0 < weeks < np.inf and at + weeks * WEEK <= now + _SECOND:
                found[rows[place]] = instant(min(int(at + weeks * WEEK), now))
    return found


def _as_foreseen(
    due: Sequence[Due], people: Customers, since: Floats, firsts: Floats, begins: Floats,
    served: Served, horizon: float,
) -> Bools:  # fmt: skip
    """Whose band began at the instant that was foreseen: then, and not yet a second before."""
    at = np.array([micros(one.begins_at) if one.begins_at else np.nan for one in due])
    known = at - _SECOND > since
    if known.any():
        rows = np.flatnonzero(known)
        some = people.take(rows)
        before, then = (
            churn(replace(some, T=(at[rows] - early - firsts[rows]) / WEEK), served.model, horizon)
            for early in (_SECOND, 0)
        )
        known[rows] = (before < begins[rows]) & (then >= begins[rows])
    return known


def _last_happened(state: State, now: int) -> int:
    """When something last happened to somebody who has bought; what is yet to come does not count."""
    spells = [spell for felt in state.recent for spell in felt.spells]
    heard = [at for spell in spells for at in (spell.opened, spell.resolved or 0) if at <= now]
    return max(state.last_at or 0, *heard, 0)
