"""Worlds whose truth about complaints is known: who buys, complains and leaves when, by quarters of a week.

Purchase rates are Gamma(0.9, 6) and death rates Gamma(1.2, 40) per week; what complaints do is γ. Nothing
here uses the models that are tested with it, but for the shapes of what they are given.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from scoring.models.arrays import Bools, Floats, Ints
from scoring.models.complaint_effect import Gamma
from scoring.models.complaints import MISHANDLED, RECOVERED, SEVERITIES, WINDOW_WEEKS, Schedules
from scoring.models.rfm import Rows

STEP = 0.25
NO_HARM = Gamma(0.0, 0.0, 0.0)
HARM = Gamma(1.0, 1.5, -0.4)

Who = Literal["the living", "anybody", "the living, and only they are answered"]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What is seen of each customer until T, and the truth: who is alive then."""

    rows: Rows
    schedules: Schedules
    complaints: int
    alive: Bools
    recent: Bools
    """Who complained in the last quarter of a year."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What kind of world it is. The defaults are the model's own."""

    harm: Gamma = HARM
    who: Who = "the living"
    weekly: float = 0.02
    """Complaints per customer and week;"""
    about_purchases: float | None = None
    """or, of so many purchases, one, within a week or two."""
    regular: int = 1
    """The shape of the gaps between purchases: more are more even."""
    correlation: float = 0.0
    """Between the rates of buying and dying."""
    fading: float | None = None
    """The harm of what was resolved is halved in some seven tenths of so many weeks, not over after 26."""
    slowing: Gamma | None = None
    """What complaints do to the pace of buying, instead of to life."""


def simulate(kind: Kind, customers: int, seed: int) -> World:
    """A world of that kind, seen for one to three years."""
    dice = np.random.default_rng(seed)
    T = dice.uniform(52, 156, customers)
    buying, dying = _rates(kind.correlation, customers, dice)
    who, purchase = _wishes(kind.regular, buying, T, dice)
    row, opened = _complaints(kind, T, who, purchase, dice)
    resolved = opened + dice.exponential(2.0, len(row))
    outcome = dice.integers(MISHANDLED, RECOVERED + 1, len(row))
    severity = dice.choice(list(SEVERITIES.values()), len(row))
    phases = _phases(kind.fading, customers, row, opened, resolved, outcome, severity)

    harm = NO_HARM if kind.slowing else kind.harm
    passed = np.cumsum(np.exp(_weighed(harm, phases)) * STEP, axis=1)
    death = (passed < dice.exponential(1 / dying)[:, None]).sum(axis=1) * STEP
    if kind.slowing:
        pace = np.exp(_weighed(kind.slowing, phases))[who, (purchase / STEP).astype(np.int64)]
        wanted = dice.random(len(who)) < pace / max(1.0, pace.max(initial=1.0))
        who, purchase = who[wanted], purchase[wanted]
    made = purchase < np.minimum(death, T)[who]
    who, purchase = who[made], purchase[made]

    seen = (opened < T[row]) & ((kind.who == "anybody") | (opened < death[row]))
    row, opened, resolved, outcome, severity = (
        column[seen] for column in (row, opened, resolved, outcome, severity)
    )
    answered = resolved < T[row]
    if kind.who == "the living, and only they are answered":
        answered &= resolved < death[row]
    x, t_x = np.bincount(who, minlength=customers).astype(np.float64), np.zeros(customers)
    np.maximum.at(t_x, who, purchase)
    recent = np.zeros(customers, dtype=np.bool_)
    recent[row[opened > T[row] - 13]] = True
    schedules = Schedules.of_arrays(
        row, opened, np.where(answered, resolved, np.nan), np.where(answered, outcome, 0), severity
    )
    return World(Rows.of(x, t_x, T), schedules, len(row), death > T, recent)


def _rates(correlation: float, customers: int, dice: np.random.Generator) -> tuple[Floats, Floats]:
    normal = dice.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], customers)
    share = stats.norm.cdf(normal)
    return stats.gamma.ppf(share[:, 0], 0.9) / 6, stats.gamma.ppf(share[:, 1], 1.2) / 40


def _wishes(regular: int, buying: Floats, T: Floats, dice: np.random.Generator) -> tuple[Ints, Floats]:
    """When each would buy after the first time, if they lived."""
    most = int((buying * T).max() * 1.5) + 30
    gaps = dice.gamma(regular, 1 / regular, (len(T), most)) / np.maximum(buying, 1e-9)[:, None]
    times = np.cumsum(gaps, axis=1)
    who, place = np.nonzero(times < T[:, None])
    return who, times[who, place]


def _complaints(
    kind: Kind, T: Floats, who: Ints, purchase: Floats, dice: np.random.Generator
) -> tuple[Ints, Floats]:
    """When each would complain, if they lived."""
    if kind.about_purchases is None:
        row = np.repeat(np.arange(len(T)), dice.poisson(kind.weekly * T))
        return row, dice.uniform(size=len(row)) * T[row]
    bought = np.concatenate([np.arange(len(T)), who])
    wrong = np.flatnonzero(dice.random(len(bought)) < 1 / kind.about_purchases)
    late = dice.exponential(1.0, len(wrong))
    return bought[wrong], np.concatenate([np.zeros(len(T)), purchase])[wrong] + late


def _phases(
    fading: float | None,
    customers: int,
    row: Ints,
    opened: Floats,
    resolved: Floats,
    outcome: Ints,
    severity: Floats,
) -> Floats:
    """The severity in force, by phase, customer and step."""
    steps = int(160 / STEP)
    found = np.zeros((3, customers, steps))
    fall = np.ones(steps) if fading is None else np.exp(-np.arange(steps) * STEP / fading)
    felt = steps if fading else int(WINDOW_WEEKS["mishandled"] / STEP)
    begin, end = np.rint(opened / STEP).astype(int), np.rint(resolved / STEP).astype(int)
    for who, a, b, phase, grave in zip(row, begin, end, outcome, severity, strict=True):
        found[0, who, a:b] = np.maximum(found[0, who, a:b], grave)
        window = found[phase, who, b : b + felt]
        np.maximum(window, grave * fall[: len(window)], out=window)
    return found


def _weighed(effect: Gamma, phases: Floats) -> Floats:
    return np.asarray(effect.open * phases[0] + effect.mishandled * phases[1] + effect.recovered * phases[2])
