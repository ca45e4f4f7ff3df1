"""Why churn is what it is: what each fact about the customer adds to it, in log-odds.

    contribution_j = logit(churn) − logit(churn with factor j neutralised)

The factors are neutralised one after another and stay so: what complaints do, what they tell where they are
signs of life, then silence, then rhythm. (Alone, the rhythm has no meaning: an average number of purchases,
all before a long silence, is nobody's.) What is left in the end is the remainder `base`, the risk of an
average customer of this age heard from just now. Together they add up to logit(churn), calibrated as the
model says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from .arrays import Floats
from .complaints import MISHANDLED, OPEN, RECOVERED, Schedules
from .score import Customers, Model, Odds, calibrated, odds

COMPLAINTS: Mapping[str, int] = {
    "complaint_open": OPEN,
    "complaint_mishandled": MISHANDLED,
    "complaint_recovered": RECOVERED,
}
"""Reasons that are phases of complaints."""

VOICED = "complaint_voiced"
"""That they complained at all: where it is mostly the living who complain, a sign of life."""

BASE = "base"
CODES = (*COMPLAINTS, VOICED, "silence", "rhythm", BASE)

Kind = Literal["fault", "retaliatory", "unexplained"]
"""What kind of loss it would be, as far as events tell: there are none yet of competitors, credit, neglect,
moving or death."""

_KINDS: Mapping[str, Kind] = {
    "complaint_open": "fault",
    "complaint_mishandled": "retaliatory",
    "complaint_recovered": "fault",
    BASE: "unexplained",
}


class Reason(NamedTuple):
    """A factor's code and what it adds to the log-odds of churn."""

    code: str
    contribution: float

    @property
    def kind(self) -> Kind | None:
        """The kind of loss it would explain; None where it lowers the risk, so that it explains none."""
        if self.contribution <= 0 and self.code != BASE:
            return None
        return _KINDS.get(self.code, "unexplained")


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Per customer: the log-odds of churn, what each factor adds, `base` among them, and the odds behind."""

    log_odds: Floats
    factors: Mapping[str, Floats]
    odds: Odds

    def of(self, row: int) -> list[Reason]:
        """One customer's reasons, the weightiest first and `base` last, without those that add nothing."""
        reasons = [Reason(code, float(added[row])) for code, added in self.factors.items()]
        told = [reason for reason in reasons if reason.contribution != 0 and reason.code != BASE]
        told.sort(key=lambda reason: -abs(reason.contribution))
        return [*told, Reason(BASE, float(self.factors[BASE][row]))]


def contributions(customers: Customers, model: Model, horizon: float) -> Contributions:
    """What adds up to logit(churn within `horizon` weeks) of each customer."""
    rows, schedules = len(customers.x), customers.schedules
    phases = [(code, phase) for code, phase in COMPLAINTS.items() if schedules.z[:, phase].any()]
    told = [code for code, _ in phases]
    if model.gamma.tells_of_life and schedules.opened.any():
        told.append(VOICED)
    without = _without_each(schedules, [phase for _, phase in phases], len(told), rows)
    found = odds(_side_by_side(customers, model, without, len(told)), model, horizon)
    # As they are, without one thing told after another, and as the average.
    log_odds = calibrated(model, found).reshape(-1, rows)
    uncomplaining, average = log_odds[len(told)], log_odds[-1]
    _, *silent = (each.reshape(-1, rows)[len(told)] for each in found)
    heard_from_now = calibrated(model, Odds(np.full(rows, -np.inf), *silent))
    factors = {code: np.zeros(rows) for code in (*COMPLAINTS, VOICED)}
    for place, code in enumerate(told):
        factors[code] = log_odds[place] - log_odds[place + 1]
    factors |= {
        "silence": uncomplaining - heard_from_now,
        "rhythm": heard_from_now - average,
        BASE: average,
    }
    return Contributions(log_odds[0], factors, Odds(*(each[:rows] for each in found)))


def _side_by_side(customers: Customers, model: Model, schedules: Schedules, times: int) -> Customers:
    """Each customer so many `times` with the schedules, then without, then as an average one of that age.

    In one, as a call costs more than a row.
    """
    x, t_x, T = customers.x, customers.t_x, customers.T
    return Customers(
        np.concatenate([np.tile(x, times + 1), _average_purchases(customers, model)]),
        np.concatenate([np.tile(t_x, times + 1), T]),
        np.tile(T, times + 2),
        np.tile(customers.mean_amount, times + 2),
        schedules,
    )


def _without_each(schedules: Schedules, phases: Sequence[int], times: int, rows: int) -> Schedules:
    """The schedules as they are, then without the first phase, and so on, so many `times` in all."""
    if not times:
        return Schedules.none()
    parts = [schedules]
    for phase in phases[: times - 1]:
        parts.append(parts[-1].without(phase))
    pieces = len(schedules.start)
    return Schedules(
        np.concatenate([schedules.customer + place * rows for place in range(len(parts))]),
        np.append(
            np.concatenate([schedules.first[:-1] + place * pieces for place in range(len(parts))]),
            len(parts) * pieces,
        ),
        np.tile(schedules.start, len(parts)),
        np.concatenate([part.z for part in parts]),
        np.tile(schedules.opened, len(parts)),
    )


def _average_purchases(customers: Customers, model: Model) -> Floats:
    """x such that (r+x)/(α+T) is r/α, expected per week of a customer before anything is known."""
    return np.asarray(model.purchase.r * customers.T / model.purchase.alpha)
