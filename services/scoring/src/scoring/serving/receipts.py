"""Receipts: what a customer's churn, loyalty and value are made of, line by line, each citing events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np

from scoring.care.domain import Served
from scoring.facts.reading import micros
from scoring.models.complaints import OPEN
from scoring.models.loyalty import Indicator
from scoring.models.reasons import COMPLAINTS, VOICED
from scoring.models.value_parts import Parts, value_parts
from scoring.serving import wording
from scoring.serving.domain import Known, Reason, Score, no_purchase_yet, scores_of
from scoring.serving.figures import customers_of, evidence_of
from scoring.serving.texts import Said

RESOLVED = {code: phase for code, phase in COMPLAINTS.items() if phase != OPEN}
"""Reasons that are complaints resolved badly or well."""


class Cited(NamedTuple):
    """Events that a line stands on, the newest first, and how many there are in all."""

    events: Sequence[UUID] = ()
    total: int = 0

    @property
    def more(self) -> int:
        """How many are not listed."""
        return max(0, self.total - len(self.events))


class Citations(NamedTuple):
    """What a receipt cites beyond what is known for a score."""

    discounted: Sequence[UUID]
    """The last purchases below the list price."""
    resolved: dict[str, Cited]
    """Complaints resolved badly and well, by the codes of `RESOLVED`."""


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """What one thing adds to the log-odds of churn."""

    reason: Reason
    cited: Cited


@dataclass(frozen=True, slots=True)
class IndicatorLine:
    """What one indicator adds to the loyalty index."""

    code: str
    indicator: Indicator
    cited: Cited
    said: Said


@dataclass(frozen=True, slots=True)
class ValueLine:
    """A factor of the value, or, among the addends of one, a part of it. Amounts in minor units."""

    code: str
    value: float
    cited: Cited
    said: Said
    addends: tuple["ValueLine", ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The score and its lines. Contributions add up to the log-odds of churn, points to the loyalty index;
    the factors multiply to `product`, which the value is rounded from."""

    score: Score
    reasons: list[ReasonLine]
    indicators: list[IndicatorLine]
    value: list[ValueLine]
    product: float


def receipt(
    known: Known,
    citations: Citations,
    served: Served,
    horizon_days: int,
    band_days: int,
    currency: str,
    now: datetime,
) -> Receipt | Reason:
    """The receipt as of now; before the first purchase, the reason why there is none."""
    if not known.state.purchases:
        return no_purchase_yet()
    people = customers_of([known.state], micros(now))
    (found,) = scores_of([known], people, served, horizon_days, band_days, now)
    scored, reasons = found.score, found.reasons
    assert scored is not None
    parts = value_parts(people, served.model, np.array([scored.p_alive]))
    evidence = evidence_of(known.state, float((people.T - people.t_x)[0]))
    return Receipt(
        scored,
        [ReasonLine(reason, _cited_for_reason(reason, known, citations)) for reason in reasons],
        [
            IndicatorLine(
                code,
                indicator,
                _cited_for_indicator(code, indicator, known, citations),
                wording.of_indicator(code, indicator, evidence),
            )
            for code, indicator in scored.loyalty.indicators.items()
        ],
        _factors(known, served, parts, currency),
        float(parts.product[0]),
    )


def _factors(known: Known, served: Served, parts: Parts, currency: str) -> list[ValueLine]:
    own, rest = _purchases(known), Cited()
    means = (
        ValueLine("own_amounts", float(parts.own_amount[0]), own if known.state.days > 1 else rest,
                  wording.of_own_amounts(known.state, parts, currency)),
        ValueLine("all_customers_amounts", float(parts.all_amount[0]), rest,
                  wording.of_all_amounts(parts, currency)),
    )  # fmt: skip
    terms = served.model.terms
    return [
        ValueLine("margin", terms.margin, rest, wording.of_margin(terms)),
        ValueLine("expected_amount", float(parts.amount[0]), rest, wording.of_amount(parts, currency), means),
        ValueLine("p_alive", float(parts.p_alive[0]), _last_purchase(known), wording.of_p_alive(parts)),
        ValueLine("purchases_per_week", float(parts.rate[0]), own, wording.of_rate(parts)),
        ValueLine("discounted_weeks", float(parts.weeks[0]), rest, wording.of_weeks(parts, terms)),
    ]


def _cited_for_reason(reason: Reason, known: Known, citations: Citations) -> Cited:
    if reason.code in citations.resolved:
        return citations.resolved[reason.code]
    if reason.code in COMPLAINTS or reason.code == VOICED:
        return _complaints(known)
    if reason.code == "rhythm":
        return _purchases(known)
    return _last_purchase(known) if reason.code == "silence" else Cited()


def _cited_for_indicator(code: str, indicator: Indicator, known: Known, citations: Citations) -> Cited:
    """That nothing was at a discount is seen in all purchases."""
    if not indicator.observed:
        return Cited()
    if code == "price_insensitivity" and citations.discounted:
        return Cited(citations.discounted, known.state.discounted)
    if code in ("repeat_rate", "time_of_buying", "price_insensitivity"):
        return _purchases(known)
    return _complaints(known) if code == "fault_tolerance" else Cited()


def _purchases(known: Known) -> Cited:
    return Cited(known.purchases, known.state.purchases)


def _last_purchase(known: Known) -> Cited:
    return Cited(known.purchases[:1], min(known.state.purchases, 1))


def _complaints(known: Known) -> Cited:
    """Every complaint was open once."""
    return Cited([complaint.event_id for complaint in known.complaints], known.state.complaints)
