"""What losing a customer costs: the sum of Mrs Smith, each factor with where it comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from scipy import special

from scoring.care.domain import Served
from scoring.facts.domain import State
from scoring.facts.reading import micros
from scoring.models import complaint_clock, gamma_gamma
from scoring.models.clv import WEEKS_PER_MONTH
from scoring.models.complaint_clock import Clock
from scoring.models.loss import Rumour, own_loss, total_loss
from scoring.models.score import Customers, odds
from scoring.serving.figures import customers_of

WEEKS_PER_YEAR = 12 * WEEKS_PER_MONTH
LONGEST_YEARS = 10
"""The model looks no further ahead: as far as Mrs Smith would have kept coming."""
OWN_DATA_WEEKS = 52.0
"""From the first purchase to the last, so that the customer's own spending says more than the model."""

OriginOfFactor = Literal["request", "setting", "customer", "model"]


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of the sum as somebody has set them; None: not set."""

    spend_per_week_minor: float | None = None
    weeks_per_year: float | None = None
    years: float | None = None
    told: float | None = None
    heeding_share: float | None = None
    retold_to: float | None = None
    leaving_share: float | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor and where it comes from; without a value where nobody knows."""

    value: float | None
    source: OriginOfFactor | None
    text: str


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost of the customer's own spending and of those they take along; None where a factor is
    unknown."""

    own_minor: int | None
    others: float
    others_minor: int | None
    total_minor: int | None
    total_margin_minor: int | None
    factors: Mapping[str, Factor]


TEXTS = {
    "spend_per_week_minor": "What the customer spends in a week.",
    "weeks_per_year": "Weeks of a year in which they would buy.",
    "years": "Years for which they would have gone on.",
    "told": "People who hear of it from the customer.",
    "heeding_share": "Of those, the share that takes it to heart.",
    "retold_to": "People whom each of these tells in turn.",
    "leaving_share": "Of all these, the share that stops buying, each having spent as much as this customer.",
}


def loss(state: State, served: Served, asked: Factors, settings: Factors, now: datetime) -> Loss:
    """The sum, each factor from the request, else from the settings, else from the customer's data or the
    model."""
    estimates = _estimates(state, served, now) if state.purchases else {}
    factors = {name: _factor(name, asked, settings, estimates.get(name)) for name in asdict(settings)}
    value = {name: factor.value for name, factor in factors.items()}
    rumour = Rumour(**{name: v for name in asdict(Rumour()) if (v := value[name]) is not None})
    spend, weeks, years = (value[name] for name in ("spend_per_week_minor", "weeks_per_year", "years"))
    if spend is None or weeks is None or years is None:
        return Loss(None, rumour.others, None, None, None, factors)
    own = own_loss(spend, weeks, years)
    total = total_loss(own, rumour)
    return Loss(
        own_minor=round(own),
        others=rumour.others,
        others_minor=round(total) - round(own),
        total_minor=round(total),
        total_margin_minor=round(total * served.model.terms.margin),
        factors=factors,
    )


def _factor(name: str, asked: Factors, settings: Factors, estimate: Factor | None) -> Factor:
    said, set_ = getattr(asked, name), getattr(settings, name)
    if said is not None:
        return Factor(said, "request", TEXTS[name])
    if set_ is not None:
        return Factor(set_, "setting", TEXTS[name])
    if estimate is not None:
        return estimate
    return Factor(None, None, f"{TEXTS[name]} Nothing has been bought yet; send {name} to have it reckoned.")


def _estimates(state: State, served: Served, now: datetime) -> dict[str, Factor]:
    people, model = customers_of([state], micros(now)), served.model
    clock = Clock.of(people.schedules, model.gamma)
    alive = float(special.expit(-odds(people, model, 1.0).dead[0]))
    ahead = np.array([LONGEST_YEARS * WEEKS_PER_YEAR])
    weeks = complaint_clock.weeks_alive(model.purchase, clock, people.T, ahead, np.ones(1))
    return {
        "spend_per_week_minor": _spend_per_week(state, served, people),
        "years": Factor(
            alive * float(weeks[0]) / WEEKS_PER_YEAR,
            "model",
            f"Years of the next {LONGEST_YEARS} in which the model expects them still to be a customer; "
            "they may have left already.",
        ),
    }


def _spend_per_week(state: State, served: Served, people: Customers) -> Factor:
    weeks = float(people.t_x[0])
    if weeks >= OWN_DATA_WEEKS:
        text = "Their own repeat purchases, by the weeks from their first purchase to their last."
        return Factor(state.repeat_minor / weeks, "customer", text)
    params = served.model.purchase
    rate = (params.r + people.x) / (params.alpha + people.T)
    amount = gamma_gamma.expected_amount(served.model.spend, people.x, people.mean_amount)
    text = "What the model expects in a week while they go on; their own purchases span less than a year."
    return Factor(float((rate * amount)[0]), "model", text)
