"""Shapes of scores in answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from scoring.care.domain import Served
from scoring.models.loyalty import Loyalty
from scoring.models.reasons import Kind
from scoring.serving.domain import Reason, Score
from scoring.serving.receipts import Cited, IndicatorLine, ReasonLine, Receipt, ValueLine
from scoring.serving.texts import Said, say
from shared.events.scoring import Band
from shared.web.fields import View


class ChurnView(View):
    """The probability that nothing is bought within the horizon, its log-odds, to which the reasons add up,
    and the band, which always is of the deployment's own horizon."""

    probability: float
    log_odds: float
    band: Band
    horizon_days: int

    @classmethod
    def of(cls, score: Score, horizon_days: int) -> "ChurnView":
        """The view of a score's churn."""
        return cls(
            probability=score.churn, log_odds=score.log_odds, band=score.band, horizon_days=horizon_days
        )


class IndicatorView(View):
    """One of the indicators of loyalty, from 0 to 1; null where there is no evidence for it. The `points` add
    up to the index."""

    code: str
    value: float | None
    weight: float
    points: float
    observed: bool


class LoyaltyView(View):
    """From 0 to 100 over the indicators observed; `coverage` is their share of all weights. For the weights
    see /v1/loyalty-weights/{version}."""

    index: float
    coverage: float
    weights_version: str
    indicators: list[IndicatorView]

    @classmethod
    def of(cls, loyalty: Loyalty) -> "LoyaltyView":
        """The view of somebody's loyalty who has bought: how often they do is known, so there is an index."""
        assert loyalty.index is not None
        return cls(
            index=loyalty.index,
            coverage=loyalty.coverage,
            weights_version=str(loyalty.weights_version),
            indicators=[
                IndicatorView(code=code, value=i.value, weight=i.weight, points=i.points, observed=i.observed)
                for code, i in loyalty.indicators.items()
            ],
        )


class ReasonView(View):
    """What one thing adds to the log-odds of churn, and the last events it is known from.

    `kind` is the kind of loss it would explain (fault, retaliatory), as far as anything known tells, else
    unexplained; null where it lowers the risk.
    """

    code: str
    kind: Kind | None
    contribution: float
    evidence: list[UUID]
    text: str

    @classmethod
    def of(cls, reason: Reason, language: str) -> "ReasonView":
        """The view of a reason, in this language."""
        return cls(
            code=reason.code,
            kind=reason.kind,
            contribution=reason.contribution,
            evidence=list(reason.evidence),
            text=say(reason.said, language),
        )


class ServedModelView(View):
    """The model the score was computed with; see /v1/models/{version}."""

    version: int
    kind: str
    prior_driven: bool
    fitted_at: datetime | None

    @classmethod
    def of(cls, served: Served) -> "ServedModelView":
        """The view of the served model."""
        return cls(
            version=served.version,
            kind=served.kind,
            prior_driven=served.prior_driven,
            fitted_at=served.fitted_at,
        )


class ProgressView(View):
    """Up to which sequence number of the customer's events the score counts them."""

    orders: int
    service_desk: int


class IntervalView(View):
    """Where a figure lies in nine of ten cases."""

    low: float
    high: float


class IntervalsView(View):
    """What is not known of the model's parameters makes of the figures: wide where customers are few.

    What one customer then does varies more.
    """

    p_alive: IntervalView
    churn: IntervalView
    expected_purchases: IntervalView


class ScoreView(View):
    """How loyal a customer is and how likely to leave, and why; null before the first purchase. Intervals are
    given where they were asked for, or where the model is prior-driven."""

    customer_id: UUID
    p_alive: float | None
    churn: ChurnView | None
    expected_purchases: float | None
    intervals: IntervalsView | None
    loyalty: LoyaltyView | None
    value_minor: int | None
    currency: str
    reasons: list[ReasonView]
    model: ServedModelView
    as_of: datetime
    progress: ProgressView


class LineView(View):
    """A line of a receipt in words, with the last events it stands on, how many there are in all, and in
    words how many are not listed, if any."""

    code: str
    text: str
    evidence: list[UUID]
    evidence_total: int
    evidence_more: str | None


class ReasonLineView(LineView):
    """What one thing adds to the log-odds of churn; `kind` as in a score's reasons."""

    kind: Kind | None
    contribution: float

    @classmethod
    def of(cls, line: ReasonLine, language: str) -> "ReasonLineView":
        """The view of a line, in this language."""
        reason = line.reason
        return cls(
            code=reason.code,
            kind=reason.kind,
            contribution=reason.contribution,
            text=say(reason.said, language),
            **_cited(line.cited, language),
        )


class IndicatorLineView(LineView):
    """What one indicator adds to the loyalty index: 100 · weight · value / the weights observed."""

    value: float | None
    weight: float
    points: float
    observed: bool

    @classmethod
    def of(cls, line: IndicatorLine, language: str) -> "IndicatorLineView":
        """The view of a line, in this language."""
        return cls(
            code=line.code,
            value=line.indicator.value,
            weight=line.indicator.weight,
            points=line.indicator.points,
            observed=line.indicator.observed,
            text=say(line.said, language),
            **_cited(line.cited, language),
        )


class ValuePartView(LineView):
    """What a factor is the sum of; in minor units."""

    value: float

    @classmethod
    def of(cls, line: ValueLine, language: str) -> "ValuePartView":
        """The view of a part, in this language."""
        return cls(
            code=line.code, value=line.value, text=say(line.said, language), **_cited(line.cited, language)
        )


class ValueLineView(ValuePartView):
    """A factor of the value, and the addends it is the sum of, if any."""

    addends: list[ValuePartView]

    @classmethod
    def of(cls, line: ValueLine, language: str) -> "ValueLineView":
        """The view of a factor, in this language."""
        return cls(
            code=line.code,
            value=line.value,
            text=say(line.said, language),
            addends=[ValuePartView.of(addend, language) for addend in line.addends],
            **_cited(line.cited, language),
        )


class ChurnReceiptView(ChurnView):
    """The lines' contributions add up to `log_odds`, and the probability is 1/(1 + e^−log_odds)."""

    lines: list[ReasonLineView]

    @classmethod
    def of_receipt(cls, made: Receipt, horizon_days: int, language: str) -> "ChurnReceiptView":
        """The part of a receipt that is about churn."""
        score = made.score
        return cls(
            probability=score.churn,
            log_odds=score.log_odds,
            band=score.band,
            horizon_days=horizon_days,
            lines=[ReasonLineView.of(line, language) for line in made.reasons],
        )


class LoyaltyReceiptView(View):
    """The lines' points add up to `index`."""

    index: float
    coverage: float
    weights_version: str
    lines: list[IndicatorLineView]

    @classmethod
    def of(cls, made: Receipt, language: str) -> "LoyaltyReceiptView":
        """The part of a receipt that is about loyalty."""
        loyalty = made.score.loyalty
        assert loyalty.index is not None
        return cls(
            index=loyalty.index,
            coverage=loyalty.coverage,
            weights_version=str(loyalty.weights_version),
            lines=[IndicatorLineView.of(line, language) for line in made.indicators],
        )


class ValueReceiptView(View):
    """The lines multiply to `product_minor`, which rounded is `value_minor`."""

    value_minor: int
    product_minor: float
    currency: str
    lines: list[ValueLineView]

    @classmethod
    def of(cls, made: Receipt, currency: str, language: str) -> "ValueReceiptView":
        """The part of a receipt that is about value."""
        return cls(
            value_minor=made.score.value_minor,
            product_minor=made.product,
            currency=currency,
            lines=[ValueLineView.of(line, language) for line in made.value],
        )


class ReceiptView(View):
    """What a score is made of, line by line, each citing events. Before the first purchase all three parts
    are null, and `unscored` says why; else that is null."""

    customer_id: UUID
    churn: ChurnReceiptView | None
    loyalty: LoyaltyReceiptView | None
    value: ValueReceiptView | None
    unscored: ReasonView | None
    model: ServedModelView
    as_of: datetime
    progress: ProgressView


def _cited(cited: Cited, language: str) -> dict[str, Any]:
    return {
        "evidence": list(cited.events),
        "evidence_total": cited.total,
        "evidence_more": say(Said("more.more", {"more": cited.more}), language) if cited.more else None,
    }
