"""Shapes of values and losses in answers."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from scoring.facts.domain import WEEK
from scoring.facts.reading import instant
from scoring.models.value_backtest import Contest, Error
from scoring.models.value_methods import METHODS
from scoring.serving.schemas import ProgressView, ServedModelView
from scoring.value.domain import (
    Comparison,
    PurchaseValue,
    Source,
    TakenBecause,
    Worth,
    error_of_margin,
)
from scoring.value.losing import Loss, OriginOfFactor
from shared.web.fields import View


class ErrorView(View):
    """How far off a method was, per customer of the segment: the root of the mean squared difference from the
    margin that was made, and what it foretold too much (or, below 0, too little) on average."""

    rmse_minor: int
    bias_minor: int

    @classmethod
    def of(cls, error: Error) -> "ErrorView":
        """The view of an error in what is earned."""
        return cls(rmse_minor=round(error.rmse), bias_minor=round(error.bias))


class MethodValueView(View):
    """What one method says; `error` where it could be tried, `value_minor` null where it has nothing to
    say."""

    method: str
    value_minor: int | None
    error: ErrorView | None
    taken: bool


class PurchaseValueView(View):
    """The value of purchases to come by the method `taken`; all methods beside it."""

    measured: bool
    value_minor: int | None
    text: str
    method: str | None
    because: TakenBecause | None
    segment: str | None
    error: ErrorView | None
    methods: list[MethodValueView]

    @classmethod
    def of(cls, found: PurchaseValue | None, otherwise: str) -> "PurchaseValueView":
        """The view of a value; without one, `otherwise` says why."""
        if found is None:
            return cls(
                measured=False, value_minor=None, text=otherwise, method=None, because=None, segment=None,
                error=None, methods=[],
            )  # fmt: skip
        methods = [
            MethodValueView(
                method=m.method,
                value_minor=m.value_minor,
                error=m.error and ErrorView.of(m.error),
                taken=m.taken,
            )
            for m in found.methods
        ]
        return cls(
            measured=True,
            value_minor=found.value_minor,
            text=found.text,
            method=found.method,
            because=found.because,
            segment=found.segment,
            error=next(m.error for m in methods if m.taken),
            methods=methods,
        )


class SourceView(View):
    """Another source of value; what is not measured says so, and is not in the total."""

    measured: bool
    value_minor: int | None
    text: str

    @classmethod
    def of(cls, source: Source) -> "SourceView":
        """The view of a source."""
        return cls(measured=source.measured, value_minor=source.value_minor, text=source.text)


class TotalView(View):
    """The sum of the sources that are measured, which it names; null where none is."""

    value_minor: int | None
    of: list[str]
    leaves_out: list[str]


class ValueView(View):
    """What a customer is worth from now on, source by source: margin, discounted, over the months ahead."""

    customer_id: UUID
    currency: str
    months: int
    yearly_discount: float
    margin: float
    purchase: PurchaseValueView
    word_of_mouth: SourceView
    information: SourceView
    knowledge: SourceView
    total: TotalView
    compared_at: datetime | None
    model: ServedModelView
    as_of: datetime
    progress: ProgressView


SOURCES = ("purchase", "word_of_mouth", "information", "knowledge")


def total_of(worth: Worth) -> TotalView:
    """The sum over what is measured."""
    measured = worth.measured
    return TotalView(
        value_minor=sum(measured.values()) if measured else None,
        of=list(measured),
        leaves_out=[name for name in SOURCES if name not in measured],
    )


class FactorView(View):
    """One factor of the sum: asked for, set for the deployment, from the customer's own data, or the
    model's."""

    code: str
    value: float | None
    source: OriginOfFactor | None
    text: str


class LossView(View):
    """What losing the customer costs in spending, and the margin on it: own = spend · weeks · years,
    total = own · (1 + others). Null where a factor is not known."""

    customer_id: UUID
    currency: str
    own_minor: int | None
    others: float
    others_minor: int | None
    total_minor: int | None
    total_margin_minor: int | None
    margin: float
    factors: list[FactorView]
    model: ServedModelView
    as_of: datetime
    progress: ProgressView

    @staticmethod
    def factors_of(loss: Loss) -> list[FactorView]:
        """The factors in the order of the sum."""
        return [
            FactorView(code=code, value=f.value, source=f.source, text=f.text)
            for code, f in loss.factors.items()
        ]


class MethodErrorView(View):
    """A method's error in a segment."""

    method: str
    error: ErrorView


class SegmentView(View):
    """The contest in one segment; where it is not `decided`, it was too small, and the probabilistic model is
    taken. `actual_minor` is the margin made per customer in the holdout."""

    segment: str
    customers: int
    buyers: int
    actual_minor: int
    winner: str
    decided: bool
    methods: list[MethodErrorView]

    @classmethod
    def of(cls, contest: Contest, margin: float) -> "SegmentView":
        """The view of a contest."""
        return cls(
            segment=contest.segment,
            customers=contest.customers,
            buyers=contest.buyers,
            actual_minor=round(margin * contest.actual),
            winner=contest.winner,
            decided=contest.decided,
            methods=[
                MethodErrorView(method=m, error=ErrorView.of(error_of_margin(contest.errors[m], margin)))
                for m in METHODS
                if m in contest.errors
            ],
        )


class ValueMethodsView(View):
    """The last comparison of the methods: what each, told the past until `origin`, foretold of what followed.

    Version 0: there was none yet. A last purchase is recent within `recent_days`. Of very many customers one
    in `one_in` is compared.
    """

    version: int
    status: Literal["compared", "too_little_data", "not_compared"]
    text: str
    compared_at: datetime | None
    model_version: int
    origin: datetime | None
    holdout_days: float | None
    recent_days: float | None
    customers: int
    one_in: int
    segments: list[SegmentView]

    @classmethod
    def of(cls, made: Comparison, margin: float) -> "ValueMethodsView":
        """The view of a comparison."""
        found = made.backtest
        text = "Per segment the method with the least error is taken."
        if found.too_little:
            text = f"Too little to compare, so the probabilistic model is taken: {found.too_little}."
        return cls(
            version=made.version,
            status="too_little_data" if found.too_little else "compared",
            text=text,
            compared_at=made.compared_at,
            model_version=made.model_version,
            origin=None if found.origin is None else instant(round(found.origin * WEEK)),
            holdout_days=None if found.holdout is None else found.holdout * 7,
            recent_days=None if found.learnt is None else found.learnt.recent * 7,
            customers=found.customers,
            one_in=made.one_in,
            segments=[SegmentView.of(contest, margin) for contest in found.contests],
        )

    @classmethod
    def none_yet(cls, why: str) -> "ValueMethodsView":
        """Where nothing was compared."""
        return cls(
            version=0, status="not_compared", text=why, compared_at=None, model_version=0, origin=None,
            holdout_days=None, recent_days=None, customers=0, one_in=1, segments=[],
        )  # fmt: skip
