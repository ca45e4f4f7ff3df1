"""Why churn is what it is: what each fact about the customer adds to it, in log-odds.

    contribution_j = logit(churn) − logit(churn with factor j neutralised)

The factors are neutralised one after another and stay so: complaints, then silence, then rhythm. (Alone, the
rhythm has no meaning: an average number of purchases, all before a long silence, is nobody's.) What is left
in the end is the remainder `base`, the risk of an average customer of this age heard from just now. Together
they add up to logit(churn).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .arrays import Floats
from .complaints import MISHANDLED, OPEN, RECOVERED
from .score import Customers, Model, Odds, odds

COMPLAINTS: Mapping[str, int] = {
    "complaint_open": OPEN,
    "complaint_mishandled": MISHANDLED,
    "complaint_recovered": RECOVERED,
}
"""Reasons that are phases of complaints."""

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


def contributions(
    customers: Customers, model: Model, horizon: float, known: Odds | None = None
) -> Contributions:
    """What adds up to logit(churn within `horizon`) of each customer; `known` are their odds, if at hand."""
    found = odds(customers, model, horizon) if known is None else known
    whole = left = found.log_odds_churn
    factors: dict[str, Floats] = {}
    for code, phase in COMPLAINTS.items():
        factors[code] = np.zeros_like(whole)
        if customers.schedules.z[:, phase].any():
            customers = replace(customers, schedules=customers.schedules.without(phase))
            found = odds(customers, model, horizon)
            factors[code], left = left - found.log_odds_churn, found.log_odds_churn
    heard_from_now = found._replace(dead=np.full_like(whole, -np.inf))
    factors["silence"], left = left - heard_from_now.log_odds_churn, heard_from_now.log_odds_churn
    average = replace(customers, t_x=customers.T, x=_average_purchases(customers, model))
    base = odds(average, model, horizon).log_odds_churn
    return Contributions(whole, {**factors, "rhythm": left - base, "base": base})


def _average_purchases(customers: Customers, model: Model) -> Floats:
    """x such that (r+x)/(α+T) is r/α, expected per week of a customer before anything is known."""
    return np.asarray(model.purchase.r * customers.T / model.purchase.alpha)
