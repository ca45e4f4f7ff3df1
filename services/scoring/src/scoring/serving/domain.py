"""One customer's score: the figures, and the reasons that add up to it, each citing events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np
from scipy import special

from scoring.bands.domain import band_of
from scoring.care.domain import Served
from scoring.facts.domain import State
from scoring.facts.reading import micros
from scoring.models import interval
from scoring.models.loyalty import Evidence, Loyalty
from scoring.models.reasons import COMPLAINTS, VOICED, Kind, contributions
from scoring.models.reasons import Reason as Because
from scoring.models.score import Customers, churn
from scoring.serving import wording
from scoring.serving.figures import customers_of, evidence_of, figures, loyalty_of
from scoring.serving.texts import Said
from shared.events.scoring import Band


@dataclass(frozen=True, slots=True)
class CitedComplaint:
    """The event a complaint is known from, and the phases it has been in."""

    event_id: UUID
    phases: frozenset[int]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a customer at this moment."""

    customer_id: UUID
    state: State
    band: Band | None
    orders_seq: int
    service_desk_seq: int
    purchases: Sequence[UUID]
    """The events of the last purchases, the very last first."""
    complaints: Sequence[CitedComplaint]
    """The last complaints, newest first."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What one thing adds to the log-odds of churn, and the kind of loss it would explain, if any."""

    code: str
    contribution: float
    kind: Kind | None
    evidence: tuple[UUID, ...]
    said: Said


@dataclass(frozen=True, slots=True)
class Score:
    """What is said of a customer who has bought."""

    p_alive: float
    churn: float
    log_odds: float
    band: Band
    expected_purchases: float
    value_minor: int
    loyalty: Loyalty


class Interval(NamedTuple):
    """Where a figure lies in nine of ten cases."""

    low: float
    high: float


class Intervals(NamedTuple):
    """What is not known of the model's parameters makes of a score."""

    p_alive: Interval
    churn: Interval
    expected_purchases: Interval


class Scored(NamedTuple):
    """A score, why it is so, and how sure it is where that was asked; no score before the first purchase."""

    score: Score | None
    reasons: list[Reason]
    intervals: Intervals | None = None


def scores(
    known: Sequence[Known],
    served: Served,
    horizon_days: int,
    band_days: int,
    now: datetime,
    *,
    with_intervals: bool = False,
) -> list[Scored]:
    """The scores of some customers as of now."""
    bought = [one for one in known if one.state.purchases]
    if not bought:
        return [Scored(None, [no_purchase_yet()]) for _ in known]
    people = customers_of([one.state for one in bought], micros(now))
    found = iter(scores_of(bought, people, served, horizon_days, band_days, now))
    if with_intervals:
        sure = intervals(people, served, horizon_days)
        found = iter([one._replace(intervals=some) for one, some in zip(found, sure, strict=True)])
    return [next(found) if one.state.purchases else Scored(None, [no_purchase_yet()]) for one in known]


def no_purchase_yet() -> Reason:
    """Why there is no score before the first purchase."""
    return Reason("no_purchase_yet", 0.0, None, (), Said("churn.no_purchase_yet"))


def scores_of(
    known: Sequence[Known],
    people: Customers,
    served: Served,
    horizon_days: int,
    band_days: int,
    now: datetime,
) -> list[Scored]:
    """The same of those who have bought; `people` as `customers_of` makes them of their states."""
    weeks = horizon_days / 7
    because = contributions(people, served.model, weeks)
    states = [one.state for one in known]
    found = figures(people, served, weeks, because.odds)
    in_band = (
        found.churn if band_days == horizon_days else churn(people, served.model, band_days / 7)
    ).tolist()
    silence, loyalty = (people.T - people.t_x).tolist(), loyalty_of(states, people, served)
    return [
        Scored(
            Score(
                p_alive=float(found.p_alive[row]),
                churn=float(special.expit(because.log_odds[row])),
                log_odds=float(because.log_odds[row]),
                band=band_of(in_band[row], one.band),
                expected_purchases=float(found.expected_purchases[row]),
                value_minor=int(found.value_minor[row]),
                loyalty=loyalty[row],
            ),
            _reasons(one, because.of(row), evidence_of(one.state, silence[row]), served, now),
        )
        for row, one in enumerate(known)
    ]


def _reasons(
    known: Known, because: Sequence[Because], evidence: Evidence, served: Served, now: datetime
) -> list[Reason]:
    return [
        Reason(
            reason.code,
            reason.contribution,
            reason.kind,
            _evidence(reason.code, known),
            wording.of_reason(reason.code, known.state, evidence, served, now),
        )
        for reason in because
    ]


def intervals(people: Customers, served: Served, horizon_days: int) -> list[Intervals]:
    """How sure the figures of those who have bought are."""
    found = interval.intervals(people, served.model, np.array(served.covariance), horizon_days / 7)
    figures = [zip(one.low.tolist(), one.high.tolist(), strict=True) for one in found]
    return [Intervals(*(Interval(*bounds) for bounds in of_one)) for of_one in zip(*figures, strict=True)]


def _evidence(code: str, known: Known) -> tuple[UUID, ...]:
    if code in COMPLAINTS:
        return tuple(c.event_id for c in known.complaints if COMPLAINTS[code] in c.phases)
    if code == VOICED:
        return tuple(c.event_id for c in known.complaints)
    return {"silence": tuple(known.purchases[:1]), "rhythm": tuple(known.purchases)}.get(code, ())
