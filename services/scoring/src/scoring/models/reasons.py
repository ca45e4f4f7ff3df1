"""Why churn is what it is: what each fact about the customer adds to it, in log-odds.

    contribution_j = logit(churn) − logit(churn with factor j neutralised)

The factors are neutralised one after another and stay so: complaints, then silence, then rhythm. (Alone, the
rhythm has no meaning: an average number of purchases, all before a long silence, is nobody's.) What is left
in the end is the remainder `base`, the risk of an average customer of this age heard from just now. Together
they add up to logit(churn).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from .arrays import Floats
from .complaints import MISHANDLED, OPEN, RECOVERED
from .score import Customers, Model, log_odds_churn

TEXTS: Mapping[str, str] = {
    "complaint_open": "A complaint that is or was open",
    "complaint_mishandled": "A complaint that was resolved badly",
    "complaint_recovered": "A complaint that was resolved well",
    "silence": "The time since the last purchase",
    "rhythm": "How often this customer has bought, against the average customer",
    "base": "The ordinary risk of an average customer heard from just now",
}


class Reason(NamedTuple):
    """A factor's code and what it adds to the log-odds of churn; TEXTS says it in words."""

    code: str
    contribution: float


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Per customer: the log-odds of churn, and what each factor adds, `base` among them."""

    log_odds: Floats
    factors: Mapping[str, Floats]

    def of(self, row: int) -> list[Reason]:
        """One customer's reasons, the weightiest first and `base` last, without those that add nothing."""
        reasons = [Reason(code, float(added[row])) for code, added in self.factors.items()]
        told = [reason for reason in reasons if reason.contribution != 0 and reason.code != "base"]
        told.sort(key=lambda reason: -abs(reason.contribution))
        return [*told, Reason("base", float(self.factors["base"][row]))]


def contributions(customers: Customers, model: Model, horizon: float) -> Contributions:
    """What adds up to logit(churn within `horizon`) of each customer."""
    whole = left = log_odds_churn(customers, model, horizon)
    factors: dict[str, Floats] = {}
    for code, neutralise in _NEUTRALISED.items():
        neutral, before = neutralise(customers, model), left
        if neutral is not customers:
            left = log_odds_churn(neutral, model, horizon)
        customers = neutral
        factors[code] = before - left
    factors["base"] = left
    return Contributions(whole, factors)


def _without(phase: int) -> Callable[[Customers, Model], Customers]:
    def neutralise(customers: Customers, model: Model) -> Customers:
        if not customers.schedules.z[:, phase].any():
            return customers
        return replace(customers, schedules=customers.schedules.without(phase))

    return neutralise


def _heard_from_now(customers: Customers, model: Model) -> Customers:
    return replace(customers, t_x=customers.T)


def _average_rate(customers: Customers, model: Model) -> Customers:
    """x such that (r+x)/(α+T) is r/α, expected per week of a customer before anything is known."""
    return replace(customers, x=model.purchase.r * customers.T / model.purchase.alpha)


_NEUTRALISED: Mapping[str, Callable[[Customers, Model], Customers]] = {
    "complaint_open": _without(OPEN),
    "complaint_mishandled": _without(MISHANDLED),
    "complaint_recovered": _without(RECOVERED),
    "silence": _heard_from_now,
    "rhythm": _average_rate,
}
