"""From what is remembered of customers to what the model says of them, for one or a million at once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from scoring.care.domain import Served
from scoring.facts.domain import FOREVER, WEEK, WEIGHTS, State, pieces, severities
from scoring.models import loyalty as loyalty_index
from scoring.models.arrays import Floats
from scoring.models.complaints import PHASES, Schedules
from scoring.models.loyalty import Evidence, Loyalty, Standings
from scoring.models.score import Customers, Odds, score

_MOST_VALUE = 2.0**62


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """One entry per customer; `value_minor` in whole minor units."""

    p_alive: Floats
    churn: Floats
    expected_purchases: Floats
    value_minor: NDArray[np.int64]


def figures(customers: Customers, served: Served, horizon_weeks: float, known: Odds | None = None) -> Figures:
    """What the model says of these customers; `known` are their odds, where the caller has them already."""
    found = score(customers, served.model, horizon_weeks, known)
    return Figures(
        np.clip(found.p_alive, 0.0, 1.0),
        np.clip(found.churn, 0.0, 1.0),
        found.expected_purchases,
        np.rint(np.clip(found.clv, 0.0, _MOST_VALUE)).astype(np.int64),
    )


def standings(states: Sequence[State], customers: Customers, served: Served) -> Standings:
    """Their loyalty without its indicators; `customers` as `customers_of` makes them of the states."""
    counts = np.array(
        [(state.purchases, state.discounted, state.complaints, state.forgiven) for state in states],
        np.float64,
    ).reshape(-1, 4)
    purchases, discounted, faults, forgiven = counts.T
    known = {
        "repeat_rate": repeat_rates(customers, served),
        "time_of_buying": times_of_buying(customers),
        "price_insensitivity": loyalty_index.price_insensitivity(discounted, purchases),
        "fault_tolerance": np.where(faults > 0, loyalty_index.fault_tolerance(forgiven, faults), np.nan),
    }
    return loyalty_index.standings(known, served.loyalty_weights)


def loyalty_of(states: Sequence[State], customers: Customers, served: Served) -> list[Loyalty]:
    """Their loyalty with all its indicators, as of the instant that `customers` were made for."""
    rates, silences = repeat_rates(customers, served).tolist(), (customers.T - customers.t_x).tolist()
    return [
        loyalty_index.loyalty(rate, evidence_of(state, silence), served.loyalty_weights)
        for state, rate, silence in zip(states, rates, silences, strict=True)
    ]


def repeat_rates(customers: Customers, served: Served) -> Floats:
    """Where each customer's purchase rate stands among those the model was fitted to, from 0 to 1."""
    grid = np.asarray(served.rate_quantiles)
    return loyalty_index.repeat_rate(served.model.purchase, customers.x, customers.T, grid)


def times_of_buying(customers: Customers) -> Floats:
    """The loyalty that the time since the last purchase shows, from 0 to 1; nan after a single one."""
    again = customers.x > 0
    usual = np.divide(customers.t_x, customers.x, out=np.full_like(customers.x, np.nan), where=again)
    return loyalty_index.time_of_buying(usual, customers.T - customers.t_x)


def evidence_of(state: State, silence: float = 0.0) -> Evidence:
    """What is known for the loyalty index, after so many weeks without a purchase."""
    usual = None
    if state.first_at is not None and state.last_at is not None and state.days > 1:
        usual = (state.last_at - state.first_at) / WEEK / (state.days - 1)
    return Evidence(
        purchases=state.purchases,
        discounted_purchases=state.discounted,
        faults=state.complaints,
        repurchases_after_fault=state.forgiven,
        usual_interval=usual,
        silence=silence,
    )


def customers_of(states: Sequence[State], now: int) -> Customers:
    """What the model takes of customers who have bought, at an instant in microseconds since 1970."""
    firsts = np.array([state.first_at for state in states], dtype=np.float64)
    lasts = np.array([state.last_at for state in states], dtype=np.float64)
    x = np.array([state.days - 1 for state in states], dtype=np.float64)
    repeat = np.array([state.repeat_minor for state in states], dtype=np.float64)
    return Customers.of(
        x,
        (lasts - firsts) / WEEK,
        (np.maximum(lasts, float(now)) - firsts) / WEEK,
        np.divide(repeat, x, out=np.zeros_like(x), where=x > 0),
        schedules_of(states),
    )


def schedules_of(states: Sequence[State]) -> Schedules:
    """The customers' moods over time; of those before the last purchase only sums are known."""
    customer: list[int] = []
    first: list[int] = [0]
    start: list[float] = []
    z: list[tuple[float, ...]] = []
    opened: list[int] = []
    for row, state in enumerate(states):
        if state.complaints:
            for begin, mood, openings in _with_openings(state, _moods(state)):
                start.append(begin / WEEK)
                z.append(_weights(mood))
                opened.append(openings)
            customer.append(row)
            first.append(len(start))
    if not customer:
        return Schedules.none()
    return Schedules(
        np.array(customer, dtype=np.int64),
        np.array(first, dtype=np.int64),
        np.array(start, dtype=np.float64),
        np.array(z, dtype=np.float64).reshape(-1, len(PHASES)),
        np.array(opened, dtype=np.int64),
    )


@cache
def _weights(mood: int) -> tuple[float, ...]:
    """The severity in force, by phase; there are 64 moods."""
    return tuple(WEIGHTS[severity] for severity in severities(mood))


def concatenated(parts: Sequence[tuple[int, Schedules]]) -> Schedules:
    """Schedules of several groups of customers as those of all together; with each, the size of its group."""
    rows = np.cumsum([0, *(size for size, _ in parts)])
    found = [(offset, part) for offset, (_, part) in zip(rows, parts, strict=False) if part.customer.size]
    if not found:
        return Schedules.none()
    pieces_before = np.cumsum([0, *(len(part.start) for _, part in found)])
    return Schedules(
        np.concatenate([part.customer + offset for offset, part in found]),
        np.concatenate(
            [[0], *(part.first[1:] + n for n, (_, part) in zip(pieces_before, found, strict=False))]
        ),
        np.concatenate([part.start for _, part in found]),
        np.concatenate([part.z for _, part in found]),
        np.concatenate([part.opened for _, part in found]),
    )


def _moods(state: State) -> list[tuple[int, int]]:
    """When each mood begins, in microseconds after the first purchase; the last one lasts for ever.

    However many complaints overlap, a mood that goes on is one.
    """
    assert state.first_at is not None
    assert state.last_at is not None
    silence_from = state.last_at - state.first_at
    found: list[tuple[int, int]] = []
    at = 0
    for mood, length in state.exposure:
        found.append((at, mood))
        at += length
    if at < silence_from:
        found.append((at, 0))
        at = silence_from
    for piece in pieces(state.recent, state.last_at, FOREVER):
        begin = piece.start - state.first_at
        if at < begin:
            found.append((at, 0))
        if begin != at or not found or found[-1][1] != piece.mood:
            found.append((begin, piece.mood))
        at = piece.end - state.first_at
    if at < FOREVER - state.first_at:
        found.append((at, 0))
    return found


def _with_openings(state: State, moods: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """The moods, cut where complaints were opened after the last purchase, each with how many were.

    Those before it are counted at the beginning.
    """
    assert state.first_at is not None
    assert state.last_at is not None
    since, until = state.first_at, state.last_at
    later = Counter(
        spell.opened - since for one in state.recent for spell in one.spells if spell.opened >= until
    )
    earlier = state.complaints - sum(one.spells[0].opened >= until for one in state.recent)
    cuts = sorted(later)
    place, mood_then = 0, 0
    for begin, mood in moods:
        while place < len(cuts) and cuts[place] < begin:
            yield cuts[place], mood_then, later[cuts[place]]
            place += 1
        mood_then = mood
        here = later.pop(begin, 0)
        place += here > 0
        yield begin, mood, here + (earlier if begin == 0 else 0)
    for cut in cuts[place:]:
        yield cut, mood_then, later[cut]
