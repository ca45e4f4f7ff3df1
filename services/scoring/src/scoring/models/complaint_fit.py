"""Estimating what complaints do to the death hazard, together with the purchase model.

A complaint is an answer as much as a wound: where it is the living who complain, it says that its customer
was alive, and those who never complain may be dead. Taken as given, such complaints make γ come out too low,
the more so the shorter the phase. So how complaints come, and whether they follow purchases, is estimated
too (`complaint_signs`). Whether a closing is a sign of life as well is decided by the likelihood.

The prior of γ is N(0, 2²): the sign is free. Whether complaints make customers leave is a likelihood-ratio
test against γ = 0, with as many degrees of freedom as phases that occurred; of others what is assumed stays.
Where no effect would explain the data as well, the same test is made against the effect assumed: what the
data clearly contradict must not serve in their stead. Where the search for the best explanation with such a
γ comes to no end, its ln L may be too low, and the gain over it too high: that is no evidence (p = 1).
Only γ is ever assumed: where what is assumed stays, all else is what explains the data best with it.
Complaints that slow buying for a while without ending it look like leaving: that cannot be told apart by x,
t_x and T, and γ then says so much.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from . import complaint_clock, pareto_nbd
from .arrays import Bools, Floats
from .complaint_clock import Clock
from .complaint_effect import NO_EFFECT, PRIOR_GAMMA, Gamma
from .complaint_likelihood import (
    CLOSING,
    LAG,
    LEAVING,
    NAMES,
    RATE,
    SHAPE,
    Loud,
    log_likelihood_with_gradient,
    natural,
    read,
    slopes,
)
from .complaint_signs import History
from .complaints import Schedules
from .fit import PRIOR_SIGMA, Fit, covariance, logs
from .pareto_nbd import Params
from .rfm import Rows

GAMMA_SIGMA = 2.0
ENOUGH_COMPLAINTS = 200
SIGNIFICANT = 0.01
_SAMPLE = 2000  # rows of either kind that the search begins with
_ATTEMPTS = 3  # at the peak, each with the curvature where the one before ended
_REACH = 12.0  # the point stays within ±12 of its start: finite where the likelihood has no peak
_FLAT = 1e-2  # a slope per standard error that counts as none
_STEP = 1e-4  # of the differences that give the curvature
_LEAST_BEND = 1e-2  # of a direction that the data hardly determine
_CLEARLY = 5.0  # in ln L: how much likelier it must be that closings are signs of life


class Estimate(NamedTuple):
    """The purchase model, what complaints do and tell, and the errors of what of that was estimated, by the
    names of `gamma`'s fields."""

    purchase: Fit[Params]
    gamma: Gamma
    standard_errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClockFit:
    """The purchase model fitted with complaints, γ and what was estimated with it, and the evidence.

    `standard_errors` go by the names of `gamma`'s fields, NaN where the data do not determine one.
    `purchase.log_likelihood` is that of the purchases, complaints being given; `log_likelihood` that of both.
    """

    purchase: Fit[Params]
    gamma: Gamma
    standard_errors: Mapping[str, float]
    complaints: int
    log_likelihood: float
    statistic: float
    """Twice the gain in ln L over γ = 0: the evidence that complaints make customers leave, or stay. 0 where
    the search for what explains the data best with γ = 0 came to no end."""
    p_value: float
    fallback: Estimate
    """With the γ assumed. All else is fitted with it, how complaints come too; where complaints are too few
    for that, or a search came to no end, it is the model without complaints, which then tell nothing."""
    p_assumed: float | None = None
    """Of the test against the effect assumed; None where no effect is out of the question already."""

    @property
    def in_use(self) -> Estimate:
        """What forecasts are made with: the estimate where it is usable, else the one with the γ assumed."""
        if self.usable:
            return Estimate(self.purchase, self.gamma, self.standard_errors)
        return self.fallback

    @property
    def usable(self) -> bool:
        """Whether the estimate may replace the effect assumed: enough complaints, and clearly some effect or
        clearly another one."""
        return self.why_not is None

    @property
    def why(self) -> str:
        """What speaks for the estimate, or against it."""
        if self.why_not is not None:
            return self.why_not
        if self.p_assumed is None:
            return "there are enough complaints, and clearly they have an effect"
        return f"the data contradict the effect assumed (p = {self.p_assumed:.2g})"

    @property
    def why_not(self) -> str | None:
        """What speaks against using the estimate; None: nothing."""
        if self.complaints < ENOUGH_COMPLAINTS:
            return f"{self.complaints} complaints are fewer than {ENOUGH_COMPLAINTS}"
        assumed = 1.0 if self.p_assumed is None else self.p_assumed
        if not (self.p_value < SIGNIFICANT or assumed < SIGNIFICANT):
            return (
                f"p = {self.p_value:.2g} is not below {SIGNIFICANT}: it is not clear that no effect explains"
                f" the data worse, nor that the effect assumed does (p = {assumed:.2g})"
            )
        if not self.purchase.converged:
            return "the search for the most probable effect did not come to an end"
        return None


def fit_clock(
    rows: Rows,
    schedules: Schedules,
    complaints: int,
    *,
    use_prior: bool = True,
    assumed: Gamma = PRIOR_GAMMA,
) -> ClockFit:
    """Maximum a posteriori over the rows, one per customer, of whom those in `schedules` complained.

    Without the prior, of the purchase parameters and γ, the maximum of the likelihood; how complaints come
    keeps its weak prior.
    """
    plain = pareto_nbd.fit(rows, use_prior=use_prior)
    without = Estimate(plain, assumed, {})
    phases = schedules.z.any(axis=0)
    if not phases.any():
        unknown = dict.fromkeys(NAMES[4:], np.nan)
        return ClockFit(plain, NO_EFFECT, unknown, complaints, plain.log_likelihood, 0.0, 1.0, without)
    search = _Search.of(rows, schedules, plain, use_prior=use_prior, assumed=assumed)
    free = np.ones(len(NAMES), dtype=np.bool_)
    free[LEAVING] = phases
    free[CLOSING] = False
    peak = search.peak(free)

    def against(below: _Peak) -> tuple[float, float]:
        """Twice the gain in ln L over it, and how probable such a gain would be if it were true."""
        gain = max(2 * (peak.log_likelihood - below.log_likelihood), 0.0) if below.converged else 0.0
        return gain, float(special.chdtrc(int(phases.sum()), gain))

    gain, p_value = against(search.with_effect(peak, NO_EFFECT))
    p_assumed, fallback = None, without
    if p_value >= SIGNIFICANT:
        given = search.with_effect(peak, assumed)
        p_assumed = against(given)[1]
        if given.converged and complaints >= ENOUGH_COMPLAINTS:
            fallback = _estimate(given, rows, schedules, plain)
    found = _estimate(peak, rows, schedules, plain)
    return ClockFit(
        *found,
        complaints=complaints,
        log_likelihood=peak.log_likelihood,
        statistic=gain,
        p_value=p_value,
        fallback=fallback,
        p_assumed=p_assumed,
    )


def _estimate(peak: "_Peak", rows: Rows, schedules: Schedules, plain: Fit[Params]) -> Estimate:
    """What is found at a peak, of the customers whom the plain model was fitted to."""
    params, gamma = read(peak.at)
    errors = dict(zip(NAMES, peak.standard_errors().tolist(), strict=True))
    given = complaint_clock.log_likelihood(params, Clock.of(schedules, gamma), rows.x, rows.t_x, rows.T)
    purchase = replace(
        plain,
        params=params,
        standard_errors={name: errors[name] for name in NAMES[:4]},
        log_likelihood=float(rows.weight @ given),
        converged=peak.converged,
    )
    return Estimate(purchase, gamma, {name: errors[name] for name in NAMES[4:]})


class _Peak(NamedTuple):
    """Where the posterior of the free parameters is highest."""

    at: Floats
    free: Bools
    covariance: Floats  # of the free ones
    log_likelihood: float
    converged: bool

    def standard_errors(self) -> Floats:
        """Of the parameters themselves, by the delta method."""
        errors = np.full(len(self.at), np.nan)
        errors[self.free] = np.sqrt(np.diag(self.covariance))
        return np.asarray(errors * slopes(natural(self.at)))


class _Data(NamedTuple):
    """Distinct rows of those who never complained, and those who did one by one."""

    quiet: Rows
    loud: Loud

    @classmethod
    def of(cls, rows: Rows, schedules: Schedules) -> "_Data":
        silent = np.ones(len(rows.x), dtype=np.bool_)
        silent[schedules.customer] = False
        some = schedules.customer
        history = History.of(schedules, rows.x[some], rows.t_x[some], rows.T[some])
        quiet = Rows(rows.x[silent], rows.t_x[silent], rows.T[silent], rows.weight[silent]).for_fitting()
        return cls(quiet, Loud.of(history, rows.weight[some]))

    @classmethod
    def of_sample(cls, rows: Rows, schedules: Schedules) -> "_Data":
        """Of either kind a regular sample that stands for all."""
        loud = schedules.customer
        silent = np.delete(np.arange(len(rows.x)), loud)
        weight, chosen = np.zeros(len(rows.x)), []
        for kind in (silent, loud):
            some = kind[:: max(-(-len(kind) // _SAMPLE), 1)]
            weight[some] = rows.weight[some] * (len(kind) / max(len(some), 1))
            chosen.append(some)
        some = np.sort(np.concatenate(chosen))
        return cls.of(Rows(rows.x[some], rows.t_x[some], rows.T[some], weight[some]), schedules.take(some))


class _Search(NamedTuple):
    """What the search needs: the data, a sample of them, where it begins, the prior."""

    data: _Data
    sample: _Data
    start: Floats
    centre: Floats
    sigma: Floats

    @classmethod
    def of(
        cls, rows: Rows, schedules: Schedules, plain: Fit[Params], *, use_prior: bool, assumed: Gamma
    ) -> "_Search":
        data = _Data.of(rows, schedules)
        loud = data.loud
        weeks = max(float(rows.weight @ rows.T), 1.0)
        complained = max(float(loud.weight @ loud.history.complaints), 1.0)
        closed = max(float(loud.weight @ loud.closings), 1.0)
        open_for = max(float(loud.weight @ loud.open_for), 1e-6)
        centre = np.zeros(len(NAMES))
        centre[:4] = logs(pareto_nbd.prior(rows))
        centre[RATE] = np.log(weeks / complained)
        centre[CLOSING] = np.log(closed / open_for)
        sigma = np.full(len(NAMES), GAMMA_SIGMA)
        sigma[:4] = PRIOR_SIGMA
        sigma[[SHAPE, LAG]] = 1.0
        if not use_prior:
            sigma[:SHAPE] = np.inf
        start = centre.copy()
        start[:4] = logs(plain.params)
        start[CLOSING] = -np.inf
        start[LEAVING] = np.where(schedules.z.any(axis=0), 0.0, assumed.of_leaving)
        return cls(data, _Data.of_sample(rows, schedules), start, centre, sigma)

    def peak(self, free: Bools) -> _Peak:
        """First that of the sample, which also decides about the closings, then that of all."""
        at = self._climb(self.sample, self.start, free, self._hessian(self.sample, self.start, free)).at
        theta = self._closing(self.sample, at)
        if np.isfinite(theta):
            at[CLOSING], free = theta, free | (np.arange(len(free)) == CLOSING)
        hessian = self._hessian(self.sample, at, free)
        found = self._climb(self.sample, at, free, hessian)
        return self._top(found.at, free, hessian)

    def with_effect(self, peak: _Peak, effect: Gamma) -> _Peak:
        """The peak where γ is given, begun where it would lie if the posterior were normal."""
        free, at = peak.free.copy(), peak.at.copy()
        free[LEAVING] = False
        at[LEAVING] = effect.of_leaving
        kept = free[peak.free]
        if not np.isfinite(peak.covariance).all():
            return self._top(at, free, self._hessian(self.data, at, free))
        hessian = np.asarray(np.linalg.inv(peak.covariance), dtype=np.float64)
        given = peak.free & ~free
        moved = hessian[np.ix_(kept, ~kept)] @ (peak.at[given] - at[given])
        at[free] += np.linalg.solve(hessian[np.ix_(kept, kept)], moved)
        return self._top(at, free, hessian[np.ix_(kept, kept)])

    def _top(self, at: Floats, free: Bools, hessian: Floats) -> _Peak:
        """The peak of all data, with the covariance there."""
        for _ in range(_ATTEMPTS):
            found = self._climb(self.data, at, free, hessian)
            at, hessian = found.at, self._hessian(self.data, found.at, free)
            if found.converged:
                break
        return found._replace(covariance=covariance(hessian))

    def _closing(self, data: _Data, at: Floats) -> float:
        """ln θ where it is likelier that only complaints of the living are closed; else −∞.

        If closings say nothing of life, they come to all open complaints alike.
        """
        loud = data.loud
        closings, open_for = float(loud.weight @ loud.closings), float(loud.weight @ loud.open_for)
        if closings == 0 or open_for == 0:
            return -np.inf
        rate = closings / open_for
        indifferent = log_likelihood_with_gradient(at, data.quiet, loud)[0] + closings * (np.log(rate) - 1)
        tried = at.copy()
        best, best_value = -np.inf, indifferent + _CLEARLY
        for faster in (1.0, 2.0, 4.0, 8.0):
            tried[CLOSING] = np.log(rate * faster)
            value = log_likelihood_with_gradient(tried, data.quiet, loud)[0]
            if value > best_value:
                best, best_value = float(tried[CLOSING]), value
        return best

    def _cost(self, data: _Data, at: Floats) -> tuple[float, Floats]:
        """−ln of the posterior, and its slopes."""
        with np.errstate(all="ignore"):  # far from the peak anything may come out; `_climb` turns back there
            value, gradient = log_likelihood_with_gradient(at, data.quiet, data.loud)
        pull = np.where(np.isfinite(at), at - self.centre, 0.0) / self.sigma
        return float(pull @ pull) / 2 - value, pull / self.sigma - gradient

    def _hessian(self, data: _Data, at: Floats, free: Bools) -> Floats:
        """From differences of the exact slopes."""
        here = self._cost(data, at)[1][free]
        rows = []
        for place in np.flatnonzero(free):
            near = at.copy()
            near[place] += _STEP
            rows.append((self._cost(data, near)[1][free] - here) / _STEP)
        hessian = np.array(rows)
        return np.asarray((hessian + hessian.T) / 2)

    def _climb(self, data: _Data, start: Floats, free: Bools, hessian: Floats) -> _Peak:
        """Upwards in coordinates in which the posterior is about as wide in every direction."""
        bend, directions = np.linalg.eigh(hessian)
        scale = directions / np.sqrt(np.maximum(np.abs(bend), _LEAST_BEND))

        def cost(moved: Floats) -> tuple[float, Floats]:
            step = scale @ moved
            if np.abs(step).max() > _REACH:
                return 1e300, np.zeros_like(moved)
            at = start.copy()
            at[free] += step
            value, slope = self._cost(data, at)
            if not (np.isfinite(value) and np.isfinite(slope).all()):
                return 1e300, np.zeros_like(moved)
            return value, scale.T @ slope[free]

        found = optimize.minimize(
            cost, np.zeros(len(bend)), jac=True, method="L-BFGS-B",
            options={"maxiter": 200, "ftol": 1e-15, "gtol": _FLAT, "maxls": 30},
        )  # fmt: skip
        at = start.copy()
        at[free] += scale @ found.x
        value = log_likelihood_with_gradient(at, data.quiet, data.loud)[0]
        unknown = np.full_like(hessian, np.nan)
        return _Peak(at, free, unknown, value, bool(np.abs(found.jac).max() < 10 * _FLAT))
