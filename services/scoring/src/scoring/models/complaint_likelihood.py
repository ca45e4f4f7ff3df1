"""ln L of purchases and complaints together, with its gradient.

With what `complaint_clock` and `complaint_signs` say of a death at u, and R = r + x, m = a + n,

    L = Γ(R)/Γ(r)·αʳ · Γ(m)/Γ(a)·bᵃ · Π(1 + φ·f) · θ^{closings} e^{−θ·time open} · (A + ∫ D(u) du)
    A    = (α+T)⁻ᴿ (β/(β+G(T)))ˢ (b+N(T))⁻ᵐ
    D(u) = (α+u)⁻ᴿ s·g(u)·βˢ/(β+G(u))ˢ⁺¹ X(u)⁻ᵐ ρ^{opened after u} e^{θ·time open after u},
    X(u) = b + N(u) + ρ·(N(T) − N(u)).

f at the opening of a complaint is the trace of purchases then; before t_x, where it is not known when the
purchases in between were, and only how many complaints there were counts, on the mean. The gradient is that
of ln A and ln D(u), weighed by how probable it is that the customer is alive or died at u.
"""

from dataclasses import astuple, fields
from typing import NamedTuple

import numpy as np
from scipy import special

from . import complaint_integral
from .arrays import Floats, Ints, weighed
from .complaint_clock import Clock, stretch, time_on
from .complaint_effect import Gamma
from .complaint_integral import Means, Told
from .complaint_signs import Exposure, History, Signs, evenly_left, told_from
from .complaints import PHASES, log_sum, running, sums
from .pareto_nbd import Params
from .rfm import Rows
from .rising import log_rising

NAMES = tuple(field.name for kind in (Params, Gamma) for field in fields(kind))
_PLACE = {name: place for place, name in enumerate(NAMES)}
LEAVING = slice(_PLACE["open"], _PLACE["open"] + len(PHASES))
SHAPE, RATE, AFTER_DEATH, PER_PURCHASE, LAG = (
    _PLACE[f"coming_{name}"] for name in ("shape", "rate", "after_death", "per_purchase", "lag")
)
CLOSING = _PLACE["closing_rate"]
LEAST_LAG = 1 / 7
"""A day: complaints are known by the day, so that many seem to come at the very instant of a purchase, and
with a lag free to vanish the likelihood would have no peak."""
_LOGS = [0, 1, 2, 3, SHAPE, RATE, PER_PURCHASE, LAG, CLOSING]


def read(at: Floats) -> tuple[Params, Gamma]:
    """The parameters of a point: logarithms of those that are positive, the logit of ρ, γ themselves."""
    plain = natural(at)
    return Params(*(float(v) for v in plain[:4])), Gamma(*(float(v) for v in plain[4:]))


def natural(at: Floats) -> Floats:
    """The parameters themselves."""
    plain = at.copy()
    plain[_LOGS] = np.exp(at[_LOGS])
    plain[AFTER_DEATH] = special.expit(at[AFTER_DEATH])
    plain[LAG] += LEAST_LAG
    return plain


def slopes(plain: Floats) -> Floats:
    """How the parameters themselves change with the point."""
    slope = np.ones_like(plain)
    slope[_LOGS] = plain[_LOGS]
    slope[AFTER_DEATH] = plain[AFTER_DEATH] * (1 - plain[AFTER_DEATH])
    slope[LAG] -= LEAST_LAG
    return slope


class Loud(NamedTuple):
    """Customers who complained, and of them what does not depend on the parameters."""

    weight: Floats
    history: History
    closings: Floats
    open_for: Floats  # weeks in which a complaint was open

    @classmethod
    def of(cls, history: History, weight: Floats) -> "Loud":
        """The rows are those of the schedules; `weight` customers alike."""
        schedules, owner, t_x, before = history.schedules, history.owner, history.t_x, history.before
        customers = len(t_x)
        earlier = np.clip(np.minimum(schedules.end, t_x[owner]) - schedules.start, 0.0, None)
        begun = sums(owner, np.where(schedules.start <= t_x[owner], 1.0, 0.0), customers).astype(np.int64)
        still_open = schedules.is_open[schedules.first[:-1] + begun - 1] & (t_x > 0)
        return cls(
            weight,
            history,
            closings=np.maximum(before - still_open, 0.0)
            + sums(owner, history.closed.astype(np.float64), customers),
            open_for=sums(owner, np.where(schedules.is_open, earlier, 0.0) + history.open_for, customers),
        )


class _Side(NamedTuple):
    """Customers, and the stretches of time in which they may have died."""

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats
    complaints: Floats
    aged: Floats  # G(T)
    exposure: Exposure
    owner: Ints  # per stretch, as is all that follows
    start: Floats
    length: Floats
    g: Floats
    beta: Floats  # β + G where the stretch begins
    told: Told
    log_ratio: Floats


class _Died(NamedTuple):
    """ln L of each customer, the weight of those alive, of those who died in each stretch, and the means."""

    log_likelihood: Floats
    alive: Floats
    share: Floats
    means: Means


def log_likelihood_with_gradient(at: Floats, quiet: Rows, loud: Loud) -> tuple[float, Floats]:
    """Σ weight·ln L and its gradient at a point (`read`), of those who never complained and those who did."""
    params, gamma = read(at)
    side = _quiet_side(params, gamma, quiet)
    value, gradient = _of_side(params, gamma, side, _died(params, gamma, side))
    if loud.weight.size:
        clock, signs = Clock.of(loud.history.schedules, gamma), Signs.of(gamma, loud.history)
        piece, side = _loud_side(params, clock, loud, signs)
        died = _died(params, gamma, side)
        for more in (
            _of_side(params, gamma, side, died),
            _of_openings(gamma, loud, side),
            _of_signs(gamma, loud, side, died, piece),
        ):
            value, gradient = value + more[0], gradient + more[1]
        gradient[LEAVING] = _of_clock(params, clock, side, died, piece)
    return value, gradient * slopes(natural(at))


def _quiet_side(params: Params, gamma: Gamma, rows: Rows) -> _Side:
    x, t_x, T = rows.x, rows.t_x, rows.T
    exposure = Exposure.of(gamma, x, t_x, T)
    owner = np.flatnonzero(t_x < T)
    start, none = t_x[owner], np.zeros_like(x)
    told = told_from(gamma, exposure.at(owner), none[owner], x[owner], start, start)
    log_ratio = told.power * np.log(exposure.now[owner] / told.exposure)
    return _Side(
        x, t_x, T, rows.weight, none, T, exposure,
        owner, start, T[owner] - start, np.ones_like(start), params.beta + start, told, log_ratio,
    )  # fmt: skip


def _loud_side(params: Params, clock: Clock, loud: Loud, signs: Signs) -> tuple[Ints, _Side]:
    """With the piece of each stretch."""
    history = loud.history
    part = stretch(clock, signs.since, history.T)
    told = signs.told(part.piece, part.start)
    side = _Side(
        history.x, history.t_x, history.T, loud.weight, history.complaints,
        time_on(clock, history.T), signs.exposure,
        part.owner, part.start, part.length, clock.g[part.piece], params.beta + part.at_start, told,
        signs.log_ratio(part.piece, told, part.length),
    )  # fmt: skip
    return part.piece, side


def _died(params: Params, gamma: Gamma, side: _Side) -> _Died:
    r, alpha, s, beta = astuple(params)
    owner, k, began = side.owner, r + side.x, alpha + side.start
    means = complaint_integral.means(k[owner], s, began, side.beta / side.g, side.told, side.length)
    parts = np.log(s * side.g / side.beta * means.integral) + side.log_ratio
    parts += k[owner] * np.log((alpha + side.T)[owner] / began)
    parts += s * np.log((beta + side.aged)[owner] / side.beta)
    total = np.logaddexp(0, log_sum(owner, parts, len(k)))
    found = log_rising(r, side.x) - r * np.log1p(side.T / alpha) - side.x * np.log(alpha + side.T)
    found += total - s * np.log1p(side.aged / beta)
    found += log_rising(gamma.coming_shape, side.complaints)
    found -= gamma.coming_shape * np.log(side.exposure.now / gamma.coming_rate)
    found -= side.complaints * np.log(side.exposure.now)
    share = np.exp(parts - total[owner]) * side.weight[owner]
    return _Died(found, side.weight * np.exp(-total), share, means)


def _of_side(params: Params, gamma: Gamma, side: _Side, died: _Died) -> tuple[float, Floats]:
    """ln L but for the complaints' own instants, and ∂/∂ of all but γ and θ."""
    gradient = np.zeros(len(NAMES))
    gradient[:4] = _of_purchases(params, side, died)
    gradient[SHAPE : PER_PURCHASE + 1], gradient[LAG] = _of_exposure(gamma, side, died)
    return float(weighed(side.weight, died.log_likelihood)), gradient


def _of_purchases(params: Params, side: _Side, died: _Died) -> list[Floats | float]:
    """∂/∂ of r, α, s and β."""
    r, alpha, s, beta = astuple(params)
    weight, alive, share, m = side.weight, died.alive, died.share, died.means
    k, everybody = r + side.x, weight.sum()
    d_r = weighed(weight, special.psi(k)) + everybody * (np.log(alpha) - special.psi(r))
    d_r -= weighed(alive, np.log(alpha + side.T)) + weighed(share, np.log(alpha + side.start) + m.log_a)
    d_alpha = everybody * r / alpha - weighed(alive * k, 1 / (alpha + side.T))
    d_alpha -= weighed(share * k[side.owner], m.inverse_a)
    d_s = weighed(share, 1 / s - np.log(side.beta / beta) - m.log_b)
    d_s -= weighed(alive, np.log1p(side.aged / beta))
    d_beta = everybody * s / beta - s * weighed(alive, 1 / (beta + side.aged))
    d_beta -= (s + 1) * weighed(share, m.inverse_b / side.g)
    return [d_r, d_alpha, d_s, d_beta]


def _of_exposure(gamma: Gamma, side: _Side, died: _Died) -> tuple[list[Floats | float], Floats | float]:
    """∂/∂ of a, b, ρ and φ, and of l: by way of b + N(T) of the living and X of the dead."""
    a, b, lag = gamma.coming_shape, gamma.coming_rate, gamma.coming_lag
    rho, phi = gamma.coming_after_death, gamma.coming_per_purchase
    weight, share, m = side.weight, died.share, died.means
    owner, power, everybody = side.owner, a + side.complaints, weight.sum()
    now, trace_now, purchases = side.exposure.now, side.exposure.trace_now, side.x + 1
    living, dead = died.alive * power / now, share * power[owner]
    trace = side.exposure.trace[owner] * np.exp((side.t_x[owner] - side.start) / lag)  # where it begins
    grown = now[owner] - (b + side.start + phi * (purchases[owner] - trace))  # N(T) − N there
    d_a = weighed(weight, special.psi(power)) + everybody * (np.log(b) - special.psi(a))
    d_a -= weighed(died.alive, np.log(now)) + weighed(share, m.log_exposure)
    d_b = everybody * a / b - living.sum() - weighed(dead, m.inverse)
    d_rho = -weighed(dead, (grown - phi * trace) * m.inverse - m.w_inverse + phi * trace * m.f_inverse)
    left = (1 - rho) * trace * m.f_inverse + rho * trace_now[owner] * m.inverse
    d_phi = -weighed(living, purchases - trace_now) - weighed(dead, purchases[owner] * m.inverse - left)
    d_trace, ago = _d_trace(lag, side.x, side.t_x) / side.exposure.trace, side.start - side.t_x[owner]
    d_now = trace_now * (d_trace + (side.T - side.t_x) / lag**2)
    d_until = trace * ((d_trace[owner] + ago / lag**2) * m.f_inverse + m.wf_inverse / lag**2)
    d_lag = phi * weighed(living, d_now)
    d_lag += phi * weighed(dead, (1 - rho) * d_until + rho * d_now[owner] * m.inverse)
    return [d_a, d_b, d_rho, d_phi], d_lag


def _d_trace(lag: float, x: Floats, t_x: Floats) -> Floats:
    """∂c/∂l."""
    spread, first = evenly_left(lag, t_x)
    return np.where(x > 0, first * t_x / lag**2, 0.0) + np.maximum(x - 1, 0) * (spread - first) / lag


def _of_openings(gamma: Gamma, loud: Loud, side: _Side) -> tuple[float, Floats]:
    """Σ ln(1 + φ·f), with ∂/∂φ and ∂/∂l."""
    history, phi, lag = loud.history, gamma.coming_per_purchase, gamma.coming_lag
    schedules, owner, t_x = history.schedules, history.owner, history.t_x
    opened = np.where(history.after, schedules.opened, 0) * loud.weight[owner]
    since = np.maximum(schedules.start - t_x[owner], 0.0)
    fresh = np.exp(-since / lag) / lag
    after = side.exposure.trace[owner] * fresh
    spread, first = evenly_left(lag, t_x)
    between, long = np.maximum(history.x - 1, 0), np.maximum(t_x, 1e-9)
    before = (1 - first + between * (1 - spread)) / long
    many = loud.weight * history.before
    pull_after, pull_before = opened / (1 + phi * after), many / (1 + phi * before)
    d_after = after * (since / lag**2 - 1 / lag) + _d_trace(lag, history.x, t_x)[owner] * fresh
    d_before = -first / lag**2 - between * (spread - first) / (lag * long)
    gradient = np.zeros(len(NAMES))
    gradient[PER_PURCHASE] = weighed(pull_after, after) + weighed(pull_before, before)
    gradient[LAG] = phi * (weighed(pull_after, d_after) + weighed(pull_before, d_before))
    return float(weighed(opened, np.log1p(phi * after)) + weighed(many, np.log1p(phi * before))), gradient


def _of_signs(gamma: Gamma, loud: Loud, side: _Side, died: _Died, piece: Ints) -> tuple[float, Floats]:
    """The closings, with ∂/∂θ, and ∂/∂ρ by the complaints opened after a death."""
    history, theta, gradient = loud.history, gamma.closing_rate, np.zeros(len(NAMES))
    schedules, owner = history.schedules, history.owner
    mass = np.zeros(len(owner))
    mass[piece] = died.share
    opened = np.where(history.after, schedules.opened, 0)
    gradient[AFTER_DEATH] = weighed(opened, running(schedules, mass)) / gamma.coming_after_death
    if theta == 0:
        return 0.0, gradient
    still = history.open_for
    later = sums(owner, still, len(side.x))[owner] - running(schedules, still) - still
    ahead = later[piece] + np.where(schedules.is_open[piece], side.length - died.means.w, 0.0)
    gradient[CLOSING] = weighed(loud.weight, loud.closings / theta - loud.open_for) + weighed(
        died.share, ahead
    )
    return float(weighed(loud.weight, loud.closings * np.log(theta) - theta * loud.open_for)), gradient


def _of_clock(params: Params, clock: Clock, side: _Side, died: _Died, piece: Ints) -> list[float]:
    """∂/∂γ, by way of ∂G(t)/∂γ = ∫₀ᵗ z·g."""
    schedules, m, s = clock.schedules, died.means, params.s
    lasted = np.where(np.isfinite(clock.end), clock.end, schedules.start) - schedules.start
    seen = np.clip(np.minimum(clock.end, side.T[clock.owner]) - schedules.start, 0.0, None)
    found = []
    for z in schedules.z.T:
        rate = z * clock.g
        at_end = sums(clock.owner, rate * seen, len(side.T))
        at_start = running(schedules, rate * lasted)[piece] + rate[piece] * (
            side.start - schedules.start[piece]
        )
        # ∂ln(β + G(u))/∂γ: of what had passed where the stretch begins, and of z·g·w in it.
        within = at_start * m.inverse_b / side.g + z[piece] * (1 - side.beta / side.g * m.inverse_b)
        lost = weighed(died.alive, s / (params.beta + side.aged) * at_end)
        found.append(float(weighed(died.share, z[piece] - (s + 1) * within) - lost))
    return found
