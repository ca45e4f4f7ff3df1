"""The integral over the time of death where complaints tell something of it.

    J = ∫₀ᴸ (1 + w/A)⁻ᵏ (1 + w/B)⁻⁽ˢ⁺¹⁾ (1 + e·(w + p·(1 − e^{−w/l}))/D)⁻ᵐ e^{−εw} dw

The first two factors are those of `integral`, the third that no complaint was opened, the fourth that none
was closed (`complaint_signs`). As there, the nodes are those of Gauss and Legendre in v = ln(1 + w/unit),
unit the least of A, B, D/e and l, and what lies e⁻³⁷ below the value at w = 0 is cut off. Where a trace of
purchases matters, it needs more nodes for the same range of v.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Ints, in_pieces, weighed
from .integral import Rule, by_need, needed

_NEGLIGIBLE = 37.0
_NOTED = 0.03  # from this effect on, a trace makes the integral harder; measured
_HARDER = 1.5


class Told(NamedTuple):
    """What complaints tell of a death within a stretch of time, per stretch but for `share` and `lag`."""

    power: Floats  # m
    exposure: Floats  # D
    share: float  # e
    trace: Floats  # p
    lag: float  # l
    closing: Floats  # ε

    def at(self, rows: Ints | slice) -> "Told":
        """Of some stretches."""
        power, exposure, share, trace, lag, closing = self
        return Told(power[rows], exposure[rows], share, trace[rows], lag, closing[rows])


class Means(NamedTuple):
    """J, and means under its normalised integrand. With X = D + e·(w + p·(1 − e^{−w/l})) and f = e^{−w/l}:"""

    integral: Floats
    log_a: Floats  # of ln(1 + w/A)
    log_b: Floats  # of ln(1 + w/B)
    log_exposure: Floats  # of ln X
    inverse_a: Floats  # of 1/(A + w)
    inverse_b: Floats  # of 1/(B + w)
    inverse: Floats  # of 1/X
    w_inverse: Floats  # of w/X
    f_inverse: Floats  # of f/X
    wf_inverse: Floats  # of w·f/X
    w: Floats


class _Stretches(NamedTuple):
    """Rows of what makes J."""

    k: Floats
    s: float
    a: Floats
    b: Floats
    told: Told
    unit: Floats
    reach: Floats
    needs: Floats

    @classmethod
    def of(cls, k: Floats, s: float, a: Floats, b: Floats, told: Told, length: Floats) -> "_Stretches":
        unit = np.minimum(a, b)
        if told.share > 0:
            unit = np.minimum(unit, told.exposure / told.share)
            unit = np.where(told.trace > 0, np.minimum(unit, told.lag), unit)
        reach, fall = _reach(np.log1p(length / unit), k, s + 1, unit / a, unit / b, told, unit)
        traced = told.power * told.share * told.trace / told.exposure
        needs = needed(reach, fall + traced * (1 + reach * unit / told.lag))
        return cls(k, s, a, b, told, unit, reach, np.where(traced > _NOTED, _HARDER * needs, needs))

    def at(self, rows: Ints | slice) -> "_Stretches":
        k, s, a, b, told, unit, reach, needs = self
        return _Stretches(k[rows], s, a[rows], b[rows], told.at(rows), unit[rows], reach[rows], needs[rows])


def integral(k: Floats, s: float, a: Floats, b: Floats, told: Told, length: Floats) -> Floats:
    """J, for arrays of one length."""
    return np.asarray(_in_pieces(_integral, 1, k, s, a, b, told, length)[0])


def means(k: Floats, s: float, a: Floats, b: Floats, told: Told, length: Floats) -> Means:
    """J with the means that make its gradient."""
    return Means(*_in_pieces(_means, len(Means._fields), k, s, a, b, told, length))


def _in_pieces(
    work: Callable[[Rule, _Stretches], Floats],
    columns: int,
    k: Floats,
    s: float,
    a: Floats,
    b: Floats,
    told: Told,
    length: Floats,
) -> Floats:
    """`work`, a column per stretch, with as many nodes as each needs."""

    def piece(rows: slice) -> Floats:
        every = _Stretches.of(k[rows], s, a[rows], b[rows], told.at(rows), length[rows])
        return by_need(lambda rule, some: work(rule, every.at(some)), every.needs)

    pieces = in_pieces(piece, len(k))
    return np.concatenate(pieces, axis=-1) if pieces else np.empty((columns, 0))


def _integral(rule: Rule, some: _Stretches) -> Floats:
    density, *_ = _on_nodes(rule, some)
    return np.asarray(some.unit * some.reach * weighed(rule.weights, density))[None]


def _means(rule: Rule, some: _Stretches) -> Floats:
    density, grown, faded, from_a, from_b, from_x, log_a, log_b, log_x = _on_nodes(rule, some)
    w = (grown - 1) * some.unit
    total = weighed(rule.weights, density)
    share = rule.weights[:, None] * density / total
    inverse = share / (from_x * some.told.exposure)

    def mean(of: Floats, under: Floats = share) -> Floats:
        return np.asarray(np.einsum("ij,ij->j", under, of))

    return np.array(
        [
            some.unit * some.reach * total,
            mean(log_a),
            mean(log_b),
            mean(log_x) + np.log(some.told.exposure),
            mean(1 / from_a) / some.a,
            mean(1 / from_b) / some.b,
            inverse.sum(axis=0),
            mean(w, inverse),
            mean(faded, inverse),
            mean(w * faded, inverse),
            mean(w),
        ]
    )


def _on_nodes(rule: Rule, some: _Stretches) -> tuple[Floats, ...]:
    """On the nodes the density, e^v, e^{−w/l}, 1 + w/A, 1 + w/B, X/D, and the logarithms of these three.

    Each pass over them is time, so all are lines in e^v = 1 + w/unit.
    """
    told, unit = some.told, some.unit
    v = rule.nodes * some.reach
    grown = np.exp(v)

    def line(slope: Floats) -> Floats:
        return grown * slope + (1 - slope)

    per = told.share / told.exposure
    faded = np.exp((1 - grown) * (unit / told.lag))
    from_a, from_b = line(unit / some.a), line(unit / some.b)
    from_x = line(unit * per) + (1 - faded) * (told.trace * per)
    log_a, log_b, log_x = np.log(from_a), np.log(from_b), np.log(from_x)
    log = v - some.k * log_a - (some.s + 1) * log_b - told.power * log_x
    if told.closing.any():
        log -= told.closing * unit * (grown - 1)
    return np.exp(log), grown, faded, from_a, from_b, from_x, log_a, log_b, log_x


def _reach(
    v: Floats, k: Floats, power_b: float, ratio_a: Floats, ratio_b: Floats, told: Told, unit: Floats
) -> tuple[Floats, Floats]:
    """How far to integrate: v, or where the integrand has surely become negligible; and how far it falls.

    The trace of purchases is left out, which makes it no shorter. The rest is convex in v, so that Newton's
    steps from beyond stay beyond.
    """
    ratio_x, closing = told.share * unit / told.exposure, told.closing * unit

    def fall(at: Floats, some: Ints | slice) -> tuple[Floats, Floats]:
        grown = np.expm1(at)
        a, b, x = grown * ratio_a[some], grown * ratio_b[some], grown * ratio_x[some]
        fallen = k[some] * np.log1p(a) + power_b * np.log1p(b) + told.power[some] * np.log1p(x)
        slope = (
            k[some] * ratio_a[some] / (1 + a)
            + power_b * ratio_b[some] / (1 + b)
            + told.power[some] * ratio_x[some] / (1 + x)
            + closing[some]
        )
        return fallen + closing[some] * grown - at, slope * (1 + grown) - 1

    at_end, _ = fall(v, slice(None))
    far = np.flatnonzero(at_end > _NEGLIGIBLE)
    if not far.size:
        return v, at_end
    near = v[far]
    for _ in range(8):
        fallen, slope = fall(near, far)
        near = near - np.maximum(fallen - _NEGLIGIBLE, 0.0) / np.maximum(slope, 1e-3)
    cut = v.copy()
    cut[far] = near
    return cut, np.minimum(at_end, _NEGLIGIBLE)
