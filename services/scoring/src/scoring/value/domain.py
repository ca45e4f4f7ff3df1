"""What a customer is worth from each of four sources, by the method that has foretold best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from scoring.care.domain import Served
from scoring.facts.domain import WEEK, State
from scoring.facts.reading import micros
from scoring.models.clv import WEEKS_PER_MONTH, Terms
from scoring.models.score import Customers, score
from scoring.models.value_backtest import Backtest, Contest, Error, backtest
from scoring.models.value_history import Purchases, Standing
from scoring.models.value_methods import METHODS, PROBABILISTIC, SEGMENTS, Ahead, foretell, segment_of
from scoring.serving.figures import customers_of, evidence_of
from shared.errors import Conflict

_MOST_VALUE = 2.0**62
_WEEKS_PER_YEAR = 12 * WEEKS_PER_MONTH

NO_PURCHASE_YET = "Nothing has been bought yet, so nothing can be foretold."
NOT_COMPARED = (
    "The methods have not been compared yet; the probabilistic model is taken until POST "
    "/v1/value-methods/compare, or the next fit of the model on schedule, has done so."
)

TakenBecause = Literal["least_error", "too_little_data", "not_compared"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A contest of the methods on the purchases as they were known; `model_version` was served then.

    Where customers are very many it is held among one in `one_in` of them. Instants in the backtest are weeks
    since 1970, amounts minor units of spending.
    """

    version: int
    compared_at: datetime
    model_version: int
    one_in: int
    backtest: Backtest


@dataclass(frozen=True, slots=True)
class MethodValue:
    """What one method says the purchases to come are worth, and how far off it was; None: it cannot say."""

    method: str
    value_minor: int | None
    error: Error | None
    taken: bool


@dataclass(frozen=True, slots=True)
class PurchaseValue:
    """The value of purchases by the method taken, with the others beside it."""

    value_minor: int
    method: str
    because: TakenBecause
    text: str
    segment: str | None
    contest: Contest | None
    methods: Sequence[MethodValue]


@dataclass(frozen=True, slots=True)
class Source:
    """What one of the other sources is worth. What is not measured says why."""

    value_minor: int | None
    measured: bool
    text: str


@dataclass(frozen=True, slots=True)
class Worth:
    """The four sources of a customer's value; `purchase` is None before the first one."""

    purchase: PurchaseValue | None
    word_of_mouth: Source
    information: Source
    knowledge: Source

    @property
    def measured(self) -> dict[str, int]:
        """The sources that are measured, by name: they alone make the total."""
        found = {} if self.purchase is None else {"purchase": self.purchase.value_minor}
        for name in ("word_of_mouth", "information", "knowledge"):
            source: Source = getattr(self, name)
            if source.measured and source.value_minor is not None:
                found[name] = source.value_minor
        return found


def compare(
    purchases: Purchases, *, version: int, model_version: int, one_in: int, at: datetime
) -> Comparison:
    """Let the methods compete on these purchases. Slow where they are many."""
    if not purchases.customer.size:
        raise Conflict(
            "No customer has bought yet, so there is nothing to compare methods on; import orders."
        )
    return Comparison(version, at, model_version, one_in, backtest(purchases, micros(at) / WEEK))


def is_due(last: Comparison | None, served: Served, refit_hours: float, now: datetime) -> bool:
    """Whether another model is served than when the methods were last compared, or that was long ago."""
    if last is None or last.model_version != served.version:
        return True
    return now - last.compared_at >= timedelta(hours=refit_hours)


def worth(
    state: State,
    served: Served,
    comparison: Comparison | None,
    *,
    information_minor: int | None,
    knowledge_minor: int | None,
    now: datetime,
) -> Worth:
    """What the customer is worth as of now; the last two are what the deployment holds them to be worth."""
    return Worth(
        purchase=_purchase(state, served, comparison, now) if state.purchases else None,
        word_of_mouth=word_of_mouth(evidence_of(state).referrals, served),
        information=_configured(information_minor, "INFORMATION_VALUE_MINOR"),
        knowledge=_configured(knowledge_minor, "KNOWLEDGE_VALUE_MINOR"),
    )


def word_of_mouth(referrals: int | None, served: Served) -> Source:
    """Referrals times what a customer is worth who has just bought for the first time."""
    if referrals is None:
        return Source(None, False, "Nothing tells whom this customer has brought, so it is not guessed.")
    newcomer = float(score(Customers.of(0.0, 0.0, 0.0), served.model, 1.0).clv[0])
    return Source(_minor(referrals * newcomer), True, f"{referrals} referrals, each worth a new customer.")


def _configured(minor: int | None, setting: str) -> Source:
    if minor is None:
        return Source(None, False, f"Not measured, and no value is configured ({setting}).")
    return Source(
        minor, False, f"Configured ({setting}), the same for everybody; not measured, so not in the total."
    )


def _purchase(state: State, served: Served, comparison: Comparison | None, now: datetime) -> PurchaseValue:
    customers = customers_of([state], micros(now))
    said = {PROBABILISTIC: float(score(customers, served.model, 1.0).clv[0])}
    segment = contest = None
    because: TakenBecause = "not_compared"
    text, method = NOT_COMPARED, PROBABILISTIC
    if comparison is not None:
        because, text = (
            "too_little_data",
            f"Too little to compare the methods: {comparison.backtest.too_little}.",
        )
    if comparison is not None and comparison.backtest.learnt is not None:
        learnt, standing = comparison.backtest.learnt, standing_of(state, customers)
        segment = SEGMENTS[int(segment_of(standing, learnt.recent)[0])]
        margin, ahead = served.model.terms.margin, ahead_of(served.model.terms)
        said |= {name: margin * float(v[0]) for name, v in foretell(learnt, standing, ahead).items()}
        contest = next((c for c in comparison.backtest.contests if c.segment == segment), None)
        because, text, method = _taken(contest, said)
    return PurchaseValue(
        value_minor=_minor(said[method]),
        method=method,
        because=because,
        text=text,
        segment=segment,
        contest=contest,
        methods=[_method(name, said, contest, served, taken=name == method) for name in METHODS],
    )


def _taken(contest: Contest | None, said: dict[str, float]) -> tuple[TakenBecause, str, str]:
    """Why which method is taken."""
    if contest is None or not contest.decided:
        few = "nobody" if contest is None else f"{contest.customers} customers, {contest.buyers} buying again"
        text = (
            f"Too few to tell the methods apart in this segment: {few}; so the probabilistic model is taken."
        )
        return "too_little_data", text, PROBABILISTIC
    able = {name: error.rmse for name, error in contest.errors.items() if math.isfinite(said[name])}
    winner = min(able, key=lambda name: able[name])
    text = f"Of all methods {winner} foretold best what {contest.customers} customers of this segment bought."
    return "least_error", text, winner


def _method(
    name: str, said: dict[str, float], contest: Contest | None, served: Served, *, taken: bool
) -> MethodValue:
    value = said.get(name, math.nan)
    found = None if contest is None else contest.errors.get(name)
    return MethodValue(
        name,
        _minor(value) if math.isfinite(value) else None,
        found and error_of_margin(found, served.model.terms.margin),
        taken,
    )


def error_of_margin(error: Error, margin: float) -> Error:
    """The error in what is earned, from that in what is spent."""
    return Error(margin * error.rmse, margin * error.bias)


def ahead_of(terms: Terms) -> Ahead:
    """How far the lifetime value looks, and its discount, by the week."""
    return Ahead(
        terms.months * WEEKS_PER_MONTH, float((1 + terms.yearly_discount) ** (1 / _WEEKS_PER_YEAR) - 1)
    )


def standing_of(state: State, customers: Customers) -> Standing:
    """The one customer of a state as the methods see them; purchases on the first day only are one."""
    return Standing(
        who=np.zeros(1, dtype=np.int64),
        x=customers.x,
        t_x=np.where(customers.x > 0, customers.t_x, 0.0),
        T=customers.T,
        spent=np.array([float(state.spent_minor)]),
        repeat=np.array([float(state.repeat_minor)]),
    )


def _minor(value: float) -> int:
    return round(min(max(value, 0.0), _MOST_VALUE))
