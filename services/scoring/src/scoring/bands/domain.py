"""Churn bands: where each begins, what it takes to leave one, and what becomes of customers who are due."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID

import numpy as np

from scoring.care.domain import Served
from scoring.facts.domain import State
from scoring.facts.reading import micros
from scoring.models.crossing import crossing
from scoring.models.score import Customers
from scoring.serving.figures import customers_of, figures
from shared.events.scoring import Band, ChurnBandChanged

BANDS: tuple[Band, ...] = get_args(Band)
BEGINS = (0.0, 0.40, 0.65, 0.85)
"""The churn probability, within the default horizon, from which on each band is entered."""
HYSTERESIS = 0.05
"""A band is left downwards only when churn has fallen this far below its beginning: so nobody flutters."""

SET_ASIDE = timedelta(hours=1)
"""After that long, a customer whose score could not be computed is tried again."""

_SOON = timedelta(seconds=1)
"""A timer rings no sooner than this: a crossing found a rounding away must not be looked at without pause."""


def band_of(churn: float, before: Band | None) -> Band:
    """The band of somebody who was in the band `before`; None: in none yet."""
    reached = sum(churn >= begin for begin in BEGINS) - 1
    if before is None:
        return BANDS[reached]
    held = sum(churn >= begin - HYSTERESIS for begin in BEGINS) - 1
    return BANDS[max(reached, min(held, BANDS.index(before)))]


def next_beginning(band: Band) -> float | None:
    """The churn at which the next band begins; None: it is the last one."""
    place = BANDS.index(band) + 1
    return BEGINS[place] if place < len(BEGINS) else None


@dataclass(frozen=True, slots=True)
class Due:
    """A customer to be scored: their state, the band last told, and how far their events are in."""

    customer_id: UUID
    state: State
    band: Band | None
    orders_seq: int
    service_desk_seq: int


@dataclass(frozen=True, slots=True)
class Score:
    """A customer's figures as lists show them."""

    customer_id: UUID
    churn: float
    band: Band
    p_alive: float
    expected_purchases: float
    loyalty: float
    value_minor: int


@dataclass(slots=True)
class Outcome:
    """What is to be stored and told."""

    scores: list[Score] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    """Customers without a purchase (any more): they have no score."""
    timers: dict[UUID, datetime | None] = field(default_factory=dict)
    """When each is due again if nothing happens."""
    changes: list[ChurnBandChanged] = field(default_factory=list)
    failures: dict[UUID, str] = field(default_factory=dict)
    """Customers whose score could not be computed, and why."""

    def add(self, other: "Outcome") -> None:
        """Take over what became of other customers."""
        self.scores += other.scores
        self.gone += other.gone
        self.timers |= other.timers
        self.changes += other.changes
        self.failures |= other.failures


def score_all(due: Sequence[Due], served: Served, horizon_days: int, now: datetime) -> Outcome:
    """Score them as of now; one whose score cannot be computed is set aside, and does not stop the others."""
    try:
        return score_due(due, served, horizon_days, now)
    except Exception as problem:
        if len(due) == 1:
            (one,) = due
            return Outcome(
                timers={one.customer_id: now + SET_ASIDE}, failures={one.customer_id: repr(problem)}
            )
    outcome, middle = Outcome(), len(due) // 2
    for half in (due[:middle], due[middle:]):
        outcome.add(score_all(half, served, horizon_days, now))
    return outcome


def score_due(due: Sequence[Due], served: Served, horizon_days: int, now: datetime) -> Outcome:
    """Score them as of now."""
    outcome = Outcome()
    bought: list[Due] = []
    for one in due:
        outcome.timers[one.customer_id] = None
        if one.state.purchases:
            bought.append(one)
        else:
            outcome.gone.append(one.customer_id)
    if not bought:
        return outcome
    states = [one.state for one in bought]
    people = customers_of(states, micros(now))
    found = figures(states, people, served, horizon_days / 7)
    if not np.isfinite(found.churn).all():
        raise ArithmeticError("a churn probability is not a number")
    for row, one in enumerate(bought):
        churn = float(found.churn[row])
        score = Score(
            one.customer_id,
            churn,
            band_of(churn, one.band),
            float(found.p_alive[row]),
            float(found.expected_purchases[row]),
            found.loyalty[row].index or 0.0,
            int(found.value_minor[row]),
        )
        outcome.scores.append(score)
        if score.band != one.band:
            outcome.changes.append(_change(one, score, served, horizon_days, now))
    outcome.timers.update(_timers(outcome.scores, people, served, horizon_days, now))
    return outcome


def _timers(
    scores: Sequence[Score], people: Customers, served: Served, horizon_days: int, now: datetime
) -> dict[UUID, datetime | None]:
    """When time alone takes each customer into the next band."""
    goals = {
        row: goal for row, score in enumerate(scores) if (goal := next_beginning(score.band)) is not None
    }
    if not goals:
        return {}
    ahead = crossing(
        people.take(np.array([*goals], dtype=np.int64)), served.model, horizon_days / 7, [*goals.values()]
    )
    return {
        scores[row].customer_id: now + max(timedelta(weeks=float(weeks)), _SOON)
        for row, weeks in zip(goals, ahead, strict=True)
        if np.isfinite(weeks)
    }


def _change(one: Due, score: Score, served: Served, horizon_days: int, now: datetime) -> ChurnBandChanged:
    return ChurnBandChanged(
        customer_id=one.customer_id,
        before=one.band,
        after=score.band,
        churn_probability=score.churn,
        horizon_days=horizon_days,
        model=served.name,
        scored_at=now,
        orders_seq=one.orders_seq,
        service_desk_seq=one.service_desk_seq,
    )
