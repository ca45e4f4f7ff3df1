"""Estimating what complaints do to the death hazard, together with the purchase model.

The prior of γ is N(0, 2²): the sign is free. Whether complaints matter at all is a likelihood-ratio test
against γ = 0, with as many degrees of freedom as phases that occurred.

The likelihood takes the complaints as given. Where only customers who are still there complain, a complaint
is also a sign of life, which it does not use: γ then comes out too low, above all that of an open complaint.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

import numpy as np
from scipy import special

from . import pareto_nbd
from .arrays import Floats, floats, in_pieces, joined, weighed
from .complaint_clock import Clock, Gamma, Stretch, log_sum, running, stretch, sums, time_on
from .complaints import PHASES, Schedules
from .fit import ENOUGH_REPEAT_BUYERS, PRIOR_SIGMA, Fit, climb, logs
from .integral import Moments, moments
from .pareto_nbd import Params
from .rfm import Rows

GAMMA_SIGMA = 2.0
ENOUGH_COMPLAINTS = 200
SIGNIFICANT = 0.01


@dataclass(frozen=True, slots=True)
class ClockFit:
    """The purchase model fitted with complaints, γ, and the evidence for it."""

    purchase: Fit[Params]
    gamma: Gamma
    standard_errors: Mapping[str, float]
    complaints: int
    statistic: float  # twice the gain in ln L over γ = 0
    p_value: float

    @property
    def usable(self) -> bool:
        """Whether γ may replace the prior effect: enough complaints, and a clear difference to none."""
        return self.complaints >= ENOUGH_COMPLAINTS and self.p_value < SIGNIFICANT


def fit_clock(rows: Rows, schedules: Schedules, complaints: int, *, use_prior: bool = True) -> ClockFit:
    """Maximum a posteriori over the rows, one per customer, of whom those in `schedules` complained.

    Without the prior, of the purchase parameters and of γ, the maximum of the likelihood.
    """
    plain = np.ones(len(rows.x), dtype=np.bool_)
    plain[schedules.customer] = False
    quiet = Rows(rows.x[plain], rows.t_x[plain], rows.T[plain], rows.weight[plain]).for_fitting()
    some = schedules.customer
    loud = Rows(rows.x[some], rows.t_x[some], rows.T[some], rows.weight[some])
    without = pareto_nbd.fit(rows, use_prior=use_prior)
    phases = schedules.z.any(axis=0)
    free = np.append(np.ones(4, dtype=np.bool_), phases)

    def likelihood(at: Floats) -> tuple[float, Floats]:
        value, gradient = log_likelihood_with_gradient(at, quiet, loud, schedules)
        return value, np.where(free, gradient, 0.0)

    peak = climb(
        likelihood,
        [np.append(logs(without.params), np.zeros(len(PHASES)))],
        centre=np.append(logs(pareto_nbd.prior(rows)), np.zeros(len(PHASES))),
        weight=rows.customers,
        sigma=np.repeat([PRIOR_SIGMA, GAMMA_SIGMA], [4, len(PHASES)]) if use_prior else np.inf,
    )
    gain = 2 * (peak.log_likelihood - likelihood(np.append(logs(without.params), np.zeros(len(PHASES))))[0])
    errors = np.sqrt(np.clip(np.diag(peak.covariance), 0.0, None))
    purchase = Fit(
        params=Params(*(float(value) for value in np.exp(peak.at[:4]))),
        standard_errors={
            field.name: float(np.exp(peak.at[j]) * errors[j]) for j, field in enumerate(fields(Params))
        },
        log_likelihood=peak.log_likelihood,
        n=round(rows.customers),
        repeat_buyers=round(rows.repeat_buyers),
        prior_driven=use_prior and rows.repeat_buyers < ENOUGH_REPEAT_BUYERS,
        converged=peak.converged,
    )
    return ClockFit(
        purchase=purchase,
        gamma=Gamma(*(float(value) for value in peak.at[4:])),
        standard_errors={name: float(error) for name, error in zip(PHASES, errors[4:], strict=True)},
        complaints=complaints,
        statistic=max(gain, 0.0),
        p_value=float(special.chdtrc(int(phases.sum()), max(gain, 0.0))) if phases.any() else 1.0,
    )


def log_likelihood_with_gradient(
    at: Floats, quiet: Rows, loud: Rows, schedules: Schedules
) -> tuple[float, Floats]:
    """Σ weight·ln L and its gradient in (ln r, ln α, ln s, ln β, γ), `loud` the rows of the schedules."""
    value, gradient = pareto_nbd.log_likelihood_with_gradient(at[:4], quiet)
    gradient = np.append(gradient, np.zeros(len(PHASES)))
    if not schedules.customer.size:
        return value, gradient
    params = Params(*(float(value) for value in np.exp(at[:4])))
    r, alpha, s, beta = astuple(params)
    clock = Clock.of(schedules, Gamma(*(float(value) for value in at[4:])))
    x, t_x, T = floats(loud.x, loud.t_x, loud.T)
    aged, part = time_on(clock, T), stretch(clock, t_x, T)
    owner, b, g = part.owner, beta + part.at_start, clock.g[part.piece]
    k, a = (r + x)[owner], alpha + part.start
    m = _moments(k, s, a, b / g, part.length)
    log_a, log_b = np.log1p((T[owner] - part.start) / a), np.log1p((aged[owner] - part.at_start) / b)
    parts = np.log(s * g / b * m.integral) + k * log_a + s * log_b
    log_odds = log_sum(owner, parts, len(x))
    weight = loud.weight
    share = np.exp(parts - np.logaddexp(0, log_odds)[owner]) * weight[owner]  # P(died within this stretch)
    plain = (
        special.gammaln(r + x) - special.gammaln(r) - r * np.log1p(T / alpha) - x * np.log(alpha + T)
        - s * np.log1p(aged / beta) + np.logaddexp(0, log_odds)
    )  # fmt: skip
    alone = special.psi(r + x) - special.psi(r) - np.log1p(T / alpha)
    d_r = weighed(weight, alone) + weighed(share, log_a - m.log_a)
    d_alpha = weighed(weight, r / alpha - (r + x) / (alpha + T))
    d_alpha += weighed(share, k / (alpha + T[owner]) - k * m.inverse_a)
    d_s = weighed(share, 1 / s + log_b - m.log_b) - weighed(weight, np.log1p(aged / beta))
    still = 1 / (beta + aged)
    d_beta = weighed(weight, s / beta - s * still)
    d_beta += weighed(share, s * still[owner] - (s + 1) * m.inverse_b / g)
    phases = range(len(PHASES))
    d_gamma = [_d_gamma(phase, params, clock, part, m, weight, share, T, still) for phase in phases]
    own = np.array([d_r * r, d_alpha * alpha, d_s * s, d_beta * beta, *d_gamma])
    return value + float(weighed(weight, plain)), gradient + own


def _d_gamma(
    phase: int,
    params: Params,
    clock: Clock,
    part: Stretch,
    m: Moments,
    weight: Floats,
    share: Floats,
    T: Floats,
    still: Floats,
) -> float:
    """∂/∂γ of one phase, by way of ∂G(t)/∂γ = ∫₀ᵗ z·g."""
    start, z = clock.schedules.start, clock.schedules.z[:, phase]
    rate = z * clock.g
    until = np.clip(np.minimum(clock.end, T[clock.owner]) - start, 0.0, None)
    at_end = sums(clock.owner, rate * until, len(T))
    grown = np.zeros(len(start))
    inner = np.isfinite(clock.end)
    grown[inner] = rate[inner] * (clock.end - start)[inner]
    piece, owner = part.piece, part.owner
    at_start = running(clock.schedules, grown)[piece] + rate[piece] * (part.start - start[piece])
    b, g = params.beta + part.at_start, clock.g[piece]
    within = at_start * m.inverse_b / g + z[piece] * (1 - b / g * m.inverse_b)
    lost = params.s * at_end * still
    gained = lost[owner] + z[piece] - (params.s + 1) * within
    return float(weighed(share, gained) - weighed(weight, lost))


def _moments(k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Moments:
    found = in_pieces(lambda rows: moments(k[rows], s, a[rows], b[rows], length[rows]), len(k))
    return Moments(*(joined([piece[j] for piece in found]) for j in range(len(Moments._fields))))
