"""Shapes of loyalty's trend in answers."""

from datetime import datetime
from uuid import UUID

from scoring.serving.schemas import LoyaltyView, ProgressView, ReasonView, ServedModelView
from scoring.serving.texts import say
from scoring.trend.domain import Change, Direction, Trend
from shared.web.fields import View


class IndicatorChangeView(View):
    """What one indicator adds to the difference of the index, in `points`; its values, null where there was
    or is no evidence for it, and in words what stood and stands behind them."""

    code: str
    points: float
    value_then: float | None
    value: float | None
    text_then: str
    text: str

    @classmethod
    def of(cls, change: Change, language: str) -> "IndicatorChangeView":
        """The view of a change, in this language."""
        return cls(
            code=change.code,
            points=change.points,
            value_then=change.before,
            value=change.now,
            text_then=say(change.said_before, language),
            text=say(change.said_now, language),
        )


class TrendView(View):
    """Loyalty against what it was at `as_of`, as is now known of then, by the same model and weights.

    `direction` is steady where the index differs by less than one point. `changes` are of the indicators that
    differ, what changed most first; their points add up to `difference`. Where nothing had been bought by
    then, `index`, `coverage`, `difference` and `direction` are null, and `text` says so.
    """

    days_ago: int
    as_of: datetime
    index: float | None
    coverage: float | None
    difference: float | None
    direction: Direction | None
    text: str
    changes: list[IndicatorChangeView]

    @classmethod
    def of(cls, trend: Trend, language: str) -> "TrendView":
        """The view of a trend, in this language."""
        return cls(
            days_ago=trend.days_ago,
            as_of=trend.as_of,
            index=trend.before.index if trend.before else None,
            coverage=trend.before.coverage if trend.before else None,
            difference=trend.difference,
            direction=trend.direction,
            text=say(trend.said, language),
            changes=[IndicatorChangeView.of(change, language) for change in trend.changes],
        )


class LoyaltyTrendView(View):
    """How loyal a customer is, and against each instant asked for, in which direction that has gone and why.

    Before the first purchase there is neither, and `unscored` says why; else that is null.
    """

    customer_id: UUID
    loyalty: LoyaltyView | None
    trend: list[TrendView]
    unscored: ReasonView | None
    model: ServedModelView
    as_of: datetime
    progress: ProgressView
