"""What complaints tell of life: mostly it is the living who complain.

Complaints come to a living customer at the rate κ·(1 + φ·f(u)) per week, and to one who has left at ρ times
that. κ ~ Gamma(a, b) over the customers; f is the trace of their purchases, each of which leaves
e^{−(u − purchase)/l}/l: so that complaints may follow purchases. From the last purchase on

    N(u) = u + φ·(x + 1 − c·e^{−(u−t_x)/l}),    c = 1 + [x > 0]·q + (x−1)⁺·(1 − q)·l/t_x,    q = e^{−t_x/l},

is the exposure to complaints until u, c the trace of all purchases that is left at t_x, those in between
taken as spread evenly. Having died at u instead of being alive at T then multiplies the odds by

    ((b + N(T)) / (b + N(u) + ρ·(N(T) − N(u))))^{a+n} · ρ^{complaints opened after u},

n the complaints opened since the first purchase. ρ = 1: complaints say nothing of life; ρ = 0: the last one
opened is a sign of life, and none since then a weak sign of death. Where also only complaints of the living
are closed, at the rate θ, a closing is a sign of life too, and the odds are multiplied by e^{θ·time open
after u}. By time alone all of this only grows.
"""

from typing import NamedTuple

import numpy as np

from . import complaint_integral
from .arrays import Bools, Floats, Ints, in_pieces, joined
from .complaint_effect import Gamma
from .complaint_integral import Told
from .complaints import Schedules, running, sums
from .pareto_nbd import Params

_LEAST = 1e-12  # ρ is taken to be no less, for its logarithm


class Exposure(NamedTuple):
    """Per customer: c, what is left of the trace at T, and b + N(T)."""

    trace: Floats
    trace_now: Floats
    now: Floats

    @classmethod
    def of(cls, gamma: Gamma, x: Floats, t_x: Floats, T: Floats) -> "Exposure":
        """Of customers with x purchases after the first, the last at t_x, seen until T."""
        spread, first = evenly_left(gamma.coming_lag, t_x)
        trace = 1 + np.where(x > 0, first, 0.0) + np.maximum(x - 1, 0) * spread
        trace_now = trace * np.exp((t_x - T) / gamma.coming_lag)
        return cls(trace, trace_now, gamma.coming_rate + T + gamma.coming_per_purchase * (x + 1 - trace_now))

    def at(self, rows: Ints) -> "Exposure":
        """Of some customers."""
        return Exposure(self.trace[rows], self.trace_now[rows], self.now[rows])


def evenly_left(lag: float, t_x: Floats) -> tuple[Floats, Floats]:
    """What is left at t_x of the trace of a purchase at any time before, on the mean, and of one at 0."""
    passed = np.maximum(t_x, 1e-9) / lag
    return -np.expm1(-passed) / passed, np.exp(-passed)


def told_from(
    gamma: Gamma, exposure: Exposure, complaints: Floats, x: Floats, t_x: Floats, u: Floats
) -> Told:
    """Of stretches that begin at u, by what is known of their customers."""
    rho, phi = gamma.coming_after_death, gamma.coming_per_purchase
    trace = exposure.trace * np.exp((t_x - u) / gamma.coming_lag)
    until = gamma.coming_rate + u + phi * (x + 1 - trace)
    return Told(
        power=gamma.coming_shape + complaints,
        exposure=until + rho * (exposure.now - until),
        share=1 - rho,
        trace=phi * trace,
        lag=gamma.coming_lag,
        closing=np.zeros_like(u),
    )


def quiet_log_odds(params: Params, gamma: Gamma, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """ln I of customers who never complained; −∞ where T = t_x."""

    def piece(rows: slice) -> Floats:
        some, last, now = x[rows], t_x[rows], T[rows]
        exposure = Exposure.of(gamma, some, last, now)
        told = told_from(gamma, exposure, np.zeros_like(some), some, last, last)
        k, a, b, silence = params.r + some, params.alpha + last, params.beta + last, now - last
        inner = complaint_integral.integral(k, params.s, a, b, told, silence)
        with np.errstate(divide="ignore"):  # ln 0 = −∞ where there was no silence
            log = np.log(params.s * inner / b) + k * np.log1p(silence / a) + params.s * np.log1p(silence / b)
        return np.asarray(log + told.power * np.log(exposure.now / told.exposure))

    return joined(in_pieces(piece, len(x)))


class History(NamedTuple):
    """What customers who complained did until T; per customer of the schedules, but for what is per piece."""

    schedules: Schedules
    x: Floats
    t_x: Floats
    T: Floats
    owner: Ints  # per piece
    after: Bools  # per piece: begins at or after t_x
    closed: Floats  # per piece: 1 where a closing after t_x begins it
    open_for: Floats  # per piece: how long a complaint was open in it, after t_x
    complaints: Floats  # n
    before: Floats  # of these, opened before t_x

    @classmethod
    def of(cls, schedules: Schedules, x: Floats, t_x: Floats, T: Floats) -> "History":
        """The rows are those of the schedules, whose complaints and closings are all known at T."""
        owner, start = schedules.owner, schedules.start
        after = start >= t_x[owner]
        lasted = np.clip(np.minimum(schedules.end, T[owner]) - np.maximum(start, t_x[owner]), 0.0, None)
        return cls(
            schedules,
            x,
            t_x,
            T,
            owner,
            after,
            closed=np.where((start > t_x[owner]) & schedules.is_closing, 1.0, 0.0),
            open_for=np.where(schedules.is_open, lasted, 0.0),
            complaints=sums(owner, schedules.opened.astype(np.float64), len(x)),
            before=sums(owner, np.where(after, 0.0, schedules.opened), len(x)),
        )


class Signs(NamedTuple):
    """What the complaints of customers tell of life."""

    gamma: Gamma
    history: History
    exposure: Exposure
    since: Floats  # the last purchase, or the last closing where it is a sign of life
    later: Floats  # per piece: ln of the odds that complaints opened after it and time open after it make

    @classmethod
    def of(cls, gamma: Gamma, history: History) -> "Signs":
        """By how complaints come and are closed."""
        schedules, owner, since = history.schedules, history.owner, history.t_x
        if gamma.closing_rate > 0:
            since = since.copy()
            closings = np.flatnonzero(history.closed)
            np.maximum.at(since, owner[closings], schedules.start[closings])
        rho = np.log(max(gamma.coming_after_death, _LEAST))
        event = np.where(history.after, schedules.opened, 0) * rho + gamma.closing_rate * history.open_for
        upto = running(schedules, event) + event
        later = sums(owner, event, len(history.x))[owner] - upto
        exposure = Exposure.of(gamma, history.x, history.t_x, history.T)
        return cls(gamma, history, exposure, since, later)

    def told(self, piece: Ints, start: Floats) -> Told:
        """Of stretches within pieces, that begin at `start`."""
        history, owner = self.history, self.history.owner[piece]
        told = told_from(
            self.gamma,
            self.exposure.at(owner),
            history.complaints[owner],
            history.x[owner],
            history.t_x[owner],
            start,
        )
        is_open = history.schedules.is_open[piece]
        return told._replace(closing=np.where(is_open, self.gamma.closing_rate, 0.0))

    def log_ratio(self, piece: Ints, told: Told, length: Floats) -> Floats:
        """ln of the odds at the beginning of each stretch."""
        now = self.exposure.now[self.history.owner[piece]]
        return np.asarray(
            told.power * np.log(now / told.exposure) + told.closing * length + self.later[piece]
        )
