"""The one integral everything in the purchase model with dropout rests on.

    J(k, s; A, B, L) = ∫₀ᴸ (1 + w/A)⁻ᵏ (1 + w/B)⁻⁽ˢ⁺¹⁾ dw

Pareto/NBD knows it as a difference of two ₂F₁ (Fader and Hardie 2005, "A Note on Deriving the Pareto/NBD
Model"); that difference loses its digits when t_x is near T, and ₂F₁ is unreliable for k in the hundreds. As
an integral of a positive function it has neither trouble, gives its derivatives from the same nodes, and
serves the complaint clock piece by piece.

With m = min(A, B) and v = ln(1 + w/m) the integrand is analytic for |Im v| < π, whatever A and B, so that a
few Gauss-Legendre nodes give it to some 1e-11; what lies e⁻³⁷ below the value at w = 0 is cut off. How many
nodes are needed grows with the range of v and with how far the logarithm of the integrand falls over it: for
most customers eight or twelve. ln(1 + …) on the nodes is not `log1p`: what matters is its error beside 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Ints, in_pieces, joined, weighed

_NEGLIGIBLE = 37.0


class Rule(NamedTuple):
    """Nodes and weights of Gauss and Legendre on (0, 1)."""

    nodes: Floats
    weights: Floats

    @classmethod
    def of(cls, count: int) -> "Rule":
        points, weights = np.polynomial.legendre.leggauss(count)
        return cls((points[:, None] + 1) / 2, weights / 2)


_RULES = tuple(Rule.of(count) for count in (8, 12, 16, 20, 32, 128))
_UP_TO = np.array([0.9, 2.4, 5.0, 7.0, 12.0])  # of what is needed; measured, for errors of 1e-11 at most


def needed(reach: Floats, fall: Floats) -> Floats:
    """By what `by_need` chooses: the range of v, and how far the logarithm of the integrand falls over it."""
    return reach + np.maximum(fall, 0.0) / 6


def by_need(work: Callable[[Rule, Ints | slice], Floats], needs: Floats) -> Floats:
    """`work` on the rows, its last axis, with as many nodes as each needs."""
    chosen = np.searchsorted(_UP_TO, needs)
    least, most = int(chosen.min()), int(chosen.max())
    if least == most:
        return work(_RULES[least], slice(None))
    found = None
    for place in range(least, most + 1):
        some = np.flatnonzero(chosen == place)
        if some.size:
            part = work(_RULES[place], some)
            found = np.empty((*part.shape[:-1], len(needs))) if found is None else found
            found[..., some] = part
    assert found is not None
    return found


class Moments(NamedTuple):
    """J and the means of four functions of w under the normalised integrand: the derivatives of ln J."""

    integral: Floats
    log_a: Floats  # of ln(1 + w/A):  ∂lnJ/∂k = −log_a
    log_b: Floats  # of ln(1 + w/B):  ∂lnJ/∂s = −log_b
    inverse_a: Floats  # of 1/(A + w)
    inverse_b: Floats  # of 1/(B + w)


class _Stretches(NamedTuple):
    """Rows of what makes J, by which of A and B is the smaller."""

    power: Floats  # k or s + 1, whichever goes with the smaller
    other: Floats
    smaller: Floats
    ratio: Floats  # of the smaller to the larger
    reach: Floats
    needs: Floats

    @classmethod
    def of(cls, k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> "_Stretches":
        power, other = np.where(a <= b, k, s + 1), np.where(a <= b, s + 1, k)
        smaller = np.minimum(a, b)
        ratio = smaller / np.maximum(a, b)
        reach, fall = _reach(np.log1p(length / smaller), power - 1, other, ratio)
        return cls(power, other, smaller, ratio, reach, needed(reach, fall))

    def at(self, rows: Ints | slice) -> "_Stretches":
        return _Stretches(*(column[rows] for column in self))


def integral(k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Floats:
    """J(k, s; a, b, length), for arrays of one length."""

    def piece(rows: slice) -> Floats:
        every = _Stretches.of(k[rows], s, a[rows], b[rows], length[rows])
        return by_need(lambda rule, some: _integral(rule, every.at(some)), every.needs)

    return joined(in_pieces(piece, len(k)))


def moments(k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Moments:
    """J with the means that make its gradient, for a piece of the rows."""
    every = _Stretches.of(k, s, a, b, length)
    found, log, log_other, inverse, inverse_other = by_need(
        lambda rule, some: _moments(rule, every.at(some)), every.needs
    )
    swapped = a > b
    return Moments(
        found,
        np.where(swapped, log_other, log),
        np.where(swapped, log, log_other),
        np.where(swapped, inverse_other, inverse),
        np.where(swapped, inverse, inverse_other),
    )


def _integral(rule: Rule, some: _Stretches) -> Floats:
    density, *_ = _on_nodes(rule, some)
    return np.asarray(some.smaller * some.reach * weighed(rule.weights, density))


def _moments(rule: Rule, some: _Stretches) -> Floats:
    """J, and the means of the logarithm and the inverse of the smaller and of the larger."""
    density, v, from_smaller, from_larger, log_larger = _on_nodes(rule, some)
    total = weighed(rule.weights, density)
    share = rule.weights[:, None] * density / total

    def mean(of: Floats) -> Floats:
        return np.asarray(np.einsum("ij,ij->j", share, of))

    return np.array(
        [
            some.smaller * some.reach * total,
            mean(v),
            mean(log_larger),
            mean(1 / from_smaller) / some.smaller,
            mean(1 / from_larger) / some.smaller * some.ratio,
        ]
    )


def _on_nodes(rule: Rule, some: _Stretches) -> tuple[Floats, ...]:
    """On the nodes the density, v, 1 + w/smaller, 1 + w/larger and its logarithm."""
    v = rule.nodes * some.reach
    from_smaller = np.exp(v)
    from_larger = from_smaller * some.ratio + (1 - some.ratio)
    log_larger = np.log(from_larger)
    density = np.exp(v * (1 - some.power) - log_larger * some.other)
    return density, v, from_smaller, from_larger, log_larger


def _reach(v: Floats, power: Floats, other: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """How far to integrate: v, or where the integrand has become negligible; and how far it falls till there.

    The logarithm of the integrand is concave in v, so that Newton's steps from beyond that point stay beyond.
    """
    fall = power * v + other * np.log1p(np.expm1(v) * ratio)
    far = np.flatnonzero(fall > _NEGLIGIBLE)
    if not far.size:
        return v, fall
    near, p, o, r = v[far], power[far], other[far], ratio[far]
    for _ in range(6):
        grown = np.expm1(near) * r
        slope = p + o * (grown + r) / (1 + grown)
        near = near - (p * near + o * np.log1p(grown) - _NEGLIGIBLE) / slope
    cut = v.copy()
    cut[far] = near
    return cut, np.minimum(fall, _NEGLIGIBLE)
