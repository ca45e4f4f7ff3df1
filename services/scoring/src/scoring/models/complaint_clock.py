"""Pareto/NBD whose death hazard runs on a clock that complaints speed up or slow down.

The hazard of dying is μ·g(t) with g = exp(γ·z(t)), z the phases of the customer's complaints, G(t) = ∫₀ᵗ g.
With R = r + x, the odds of being dead at T are

    I = s ∫_{t_x}^{T} ((α+T)/(α+u))^R · ((β+G(T))/(β+G(u)))^s · g(u)/(β+G(u)) du,

P(alive) = 1/(1+I), and ln L = lnΓ(R) − lnΓ(r) + r·ln α − R·ln(α+T) + s·[ln β − ln(β+G(T))] + ln(1+I).

Within a piece of constant g the integral is that of `integral`, with A = α+u₀ and B = (β+G(u₀))/g, so that it
is as exact as without complaints; rows that have none are plain Pareto/NBD. After T the known windows go on
as scheduled, and what is open stays open.

Where it was estimated that complaints are signs of life, what `complaint_signs` derives multiplies the
integrand of I; nothing of the kind is believed before (`Gamma`).
"""

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import complaint_integral, pareto_nbd
from .arrays import Floats, Ints, floats, in_pieces, joined, weighed
from .complaint_effect import Gamma
from .complaint_signs import History, Signs, quiet_log_odds
from .complaints import Schedules, log_sum, running, sums
from .integral import integral
from .pareto_nbd import Params
from .rising import log_rising


class Clock(NamedTuple):
    """Schedules with the speed g of their pieces, and G where each piece begins."""

    schedules: Schedules
    owner: Ints  # the customer a piece belongs to, by place in the schedules
    end: Floats
    g: Floats
    at_start: Floats
    gamma: Gamma

    @property
    def rows(self) -> Ints:
        """The rows that have complaints."""
        return self.schedules.customer

    @classmethod
    def of(cls, schedules: Schedules, gamma: Gamma) -> "Clock":
        """The clock that γ makes of the schedules."""
        start, end = schedules.start, schedules.end
        if not schedules.customer.size:
            return cls(schedules, schedules.customer, end, start, start, gamma)
        g = np.exp(schedules.z @ gamma.of_leaving)
        return cls(schedules, schedules.owner, end, g, running(schedules, g * (end - start)), gamma)


def _of_quiet(clock: Clock, work: Callable[..., Floats], *columns: Floats) -> Floats:
    """`work` on the rows without complaints; the others are for the caller to fill in."""
    if not clock.rows.size:
        return work(*columns)
    quiet = np.ones(len(columns[0]), dtype=np.bool_)
    quiet[clock.rows] = False
    found = np.empty(len(quiet))
    found[quiet] = work(*(column[quiet] for column in columns))
    return found


class Stretch(NamedTuple):
    """What of each piece lies between two instants of its customer; only pieces where that is something."""

    piece: Ints
    owner: Ints
    start: Floats
    length: Floats
    at_start: Floats  # G where the stretch begins


def stretch(clock: Clock, since: Floats, until: Floats) -> Stretch:
    """The pieces between the instants `since` and `until`, given per customer of the schedules."""
    begin = np.maximum(clock.schedules.start, since[clock.owner])
    length = np.minimum(clock.end, until[clock.owner]) - begin
    piece = np.flatnonzero(length > 0)
    start = begin[piece]
    at_start = clock.at_start[piece] + clock.g[piece] * (start - clock.schedules.start[piece])
    return Stretch(piece, clock.owner[piece], start, length[piece], at_start)


def time_on(clock: Clock, instant: Floats) -> Floats:
    """G(t), per customer of the schedules."""
    within = np.clip(np.minimum(clock.end, instant[clock.owner]) - clock.schedules.start, 0.0, None)
    return sums(clock.owner, clock.g * within, len(instant))


def pieces_of_log_odds(
    params: Params,
    clock: Clock,
    x: Floats,
    since: Floats,
    until: Floats,
    seen_from: Floats,
    signs: Signs | None = None,
) -> tuple[Stretch, Floats]:
    """Of each stretch ln of s∫ ((α+T)/(α+u))^R ((β+G(T))/(β+G(u)))^s g/(β+G(u)) du; T is `seen_from`.

    `signs` are what complaints tell of a death there.
    """
    part = stretch(clock, since, until)
    b, g = params.beta + part.at_start, clock.g[part.piece]
    k, a = (params.r + x)[part.owner], params.alpha + part.start
    ahead = seen_from[part.owner] - part.start
    gained = time_on(clock, seen_from)[part.owner] - part.at_start
    log = k * np.log1p(ahead / a) + params.s * np.log1p(gained / b)
    if signs is None:
        return part, log + np.log(params.s * g / b * integral(k, params.s, a, b / g, part.length))
    told = signs.told(part.piece, part.start)
    inner = complaint_integral.integral(k, params.s, a, b / g, told, part.length)
    with np.errstate(divide="ignore"):  # a death there may be too unlikely for a float
        log += np.log(params.s * g / b * inner)
    return part, log + signs.log_ratio(part.piece, told, part.length)


def log_odds_dead(params: Params, clock: Clock, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """ln I, with what complaints tell of life; −∞ where T = t_x."""
    x, t_x, T = floats(x, t_x, T)
    gamma, rows = clock.gamma, clock.rows
    if not gamma.tells_of_life:
        return _log_odds_given(params, clock, x, t_x, T)
    odds = _of_quiet(clock, partial(quiet_log_odds, params, gamma), x, t_x, T)
    if rows.size:
        signs = Signs.of(gamma, History.of(clock.schedules, x[rows], t_x[rows], T[rows]))
        part, logs = pieces_of_log_odds(params, clock, x[rows], signs.since, T[rows], T[rows], signs)
        odds[rows] = log_sum(part.owner, logs, len(rows))
    return odds


def _log_odds_given(params: Params, clock: Clock, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """ln I where complaints are given and tell nothing."""
    odds = _of_quiet(clock, partial(pareto_nbd.log_odds_dead, params), x, t_x, T)
    rows = clock.rows
    if rows.size:
        part, logs = pieces_of_log_odds(params, clock, x[rows], t_x[rows], T[rows], T[rows])
        odds[rows] = log_sum(part.owner, logs, len(rows))
    return odds


def log_likelihood(params: Params, clock: Clock, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """ln L of each row's purchases, complaints being given."""
    x, t_x, T = floats(x, t_x, T)
    r, alpha, s, beta = astuple(params)
    aged = T.copy()
    aged[clock.rows] = time_on(clock, T[clock.rows])
    return np.asarray(
        log_rising(r, x)
        - r * np.log1p(T / alpha)
        - x * np.log(alpha + T)
        - s * np.log1p(aged / beta)
        + np.logaddexp(0, _log_odds_given(params, clock, x, t_x, T))
    )


def p_alive(params: Params, clock: Clock, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """P(the customer will still buy | purchases and complaints until T) = 1/(1+I)."""
    return np.asarray(special.expit(-log_odds_dead(params, clock, x, t_x, T)))


def p_no_purchase(params: Params, clock: Clock, x: ArrayLike, T: ArrayLike, t: ArrayLike) -> Floats:
    """P₀(t): no purchase in the t weeks after T of a customer alive at T: silent, or dying on the way."""
    x, T, t = floats(x, T, t)
    chance = _of_quiet(clock, partial(pareto_nbd.p_no_purchase, params), x, T, t)
    rows = clock.rows
    if rows.size:
        x, T, t = x[rows], T[rows], t[rows]
        aged = time_on(clock, T)
        gained = time_on(clock, T + t) - aged
        silent = -(params.r + x) * np.log1p(t / (params.alpha + T))
        silent -= params.s * np.log1p(gained / (params.beta + aged))
        part, logs = pieces_of_log_odds(params, clock, x, T, T + t, T)
        dying = sums(part.owner, np.exp(logs), len(rows))
        chance[rows] = np.minimum(np.exp(silent) + dying, 1.0)
    return chance


def churn(
    params: Params, clock: Clock, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon: ArrayLike
) -> Floats:
    """1 − P(alive)·(1 − P₀(H)): the probability that nothing is bought in the `horizon` weeks after T."""
    odds = log_odds_dead(params, clock, x, t_x, T)
    silent = p_no_purchase(params, clock, x, T, horizon)
    return np.asarray(np.minimum(special.expit(odds) + special.expit(-odds) * silent, 1.0))


def expected_purchases(
    params: Params, clock: Clock, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, t: float
) -> Floats:
    """E[Y(t)] = P(alive)·(r+x)/(α+T)·∫₀ᵗ ((β+G(T))/(β+G(T+u)))^s du."""
    x, t_x, T = floats(x, t_x, T)
    weeks = weeks_alive(params, clock, T, np.array([float(t)]), np.ones(1))
    return np.asarray(p_alive(params, clock, x, t_x, T) * (params.r + x) / (params.alpha + T) * weeks)


def weeks_alive(params: Params, clock: Clock, T: Floats, until: Floats, shares: Floats) -> Floats:
    """Σ_k share_k·(weeks that a customer alive at T is expected to be alive of the next until_k weeks).

    Piece by piece in closed form; with one share of 1 it is the plain expectation, with discounts that of a
    discounted one.
    """
    s = params.s

    def plain(T: Floats) -> Floats:
        def piece(rows: slice) -> Floats:
            return weighed(shares, pareto_nbd.weeks_alive(s, params.beta + T[rows], until[:, None]))

        return joined(in_pieces(piece, len(T)))

    weeks = _of_quiet(clock, plain, T)
    rows = clock.rows
    if rows.size:
        T = T[rows]
        part = stretch(clock, T, T + until.max())
        b, g = params.beta + part.at_start, clock.g[part.piece]
        reached = np.exp(s * (np.log(params.beta + time_on(clock, T))[part.owner] - np.log(b)))
        passed = part.start - T[part.owner]

        def within(some: slice) -> Floats:
            length = np.clip(until[:, None] - passed[some], 0.0, part.length[some])
            return weighed(shares, pareto_nbd.weeks_alive(s, (b / g)[some], length)) * reached[some]

        inside = joined(in_pieces(within, len(part.piece)))
        weeks[rows] = sums(part.owner, inside, len(rows))
    return weeks
