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
from scoring.models.loyalty import Loyalty
from scoring.models.reasons import COMPLAINTS, Kind, contributions
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


def score(
    known: Known, served: Served, horizon_days: int, band_days: int, now: datetime
) -> tuple[Score | None, list[Reason]]:
    """The score as of now, and its reasons; None before the first purchase."""
    if not known.state.purchases:
        return None, [no_purchase_yet()]
    people = customers_of([known.state], micros(now))
    return score_of(known, people, served, horizon_days, band_days, now)


def no_purchase_yet() -> Reason:
    """Why there is no score before the first purchase."""
    return Reason("no_purchase_yet", 0.0, None, (), Said("churn.no_purchase_yet"))


def score_of(
    known: Known, people: Customers, served: Served, horizon_days: int, band_days: int, now: datetime
) -> tuple[Score, list[Reason]]:
    """The same of somebody who has bought; `people` as `customers_of` makes them of the one state."""
    state = known.state
    weeks = horizon_days / 7
    because = contributions(people, served.model, weeks)
    found = figures([state], people, served, weeks, because.odds)
    log_odds = float(because.log_odds[0])
    in_band = float(
        (found.churn if band_days == horizon_days else churn(people, served.model, band_days / 7))[0]
    )
    evidence = evidence_of(state, float((people.T - people.t_x)[0]))
    reasons = [
        Reason(
            reason.code,
            reason.contribution,
            reason.kind,
            _evidence(reason.code, known),
            wording.of_reason(reason.code, state, evidence, served, now),
        )
        for reason in because.of(0)
    ]
    scored = Score(
        p_alive=float(found.p_alive[0]),
        churn=float(special.expit(log_odds)),
        log_odds=log_odds,
        band=band_of(in_band, known.band),
        expected_purchases=float(found.expected_purchases[0]),
        value_minor=int(found.value_minor[0]),
        loyalty=loyalty_of([state], people, served)[0],
    )
    return scored, reasons


def intervals(known: Known, served: Served, horizon_days: int, now: datetime) -> Intervals:
    """Of somebody who has bought."""
    people = customers_of([known.state], micros(now))
    found = interval.intervals(people, served.model, np.array(served.covariance), horizon_days / 7)
    return Intervals(*(Interval(float(one.low[0]), float(one.high[0])) for one in found))


def _evidence(code: str, known: Known) -> tuple[UUID, ...]:
    if code in COMPLAINTS:
        return tuple(c.event_id for c in known.complaints if COMPLAINTS[code] in c.phases)
    return {"silence": tuple(known.purchases[:1]), "rhythm": tuple(known.purchases)}.get(code, ())
