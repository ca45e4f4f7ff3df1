"""The one integral everything in the purchase model with dropout rests on.

    J(k, s; A, B, L) = ∫₀ᴸ (1 + w/A)⁻ᵏ (1 + w/B)⁻⁽ˢ⁺¹⁾ dw

Pareto/NBD knows it as a difference of two ₂F₁ (Fader and Hardie 2005, "A Note on Deriving the Pareto/NBD
Model"); that difference loses its digits when t_x is near T, and ₂F₁ is unreliable for k in the hundreds. As
an integral of a positive function it has neither trouble, gives its derivatives from the same nodes, and
serves the complaint clock piece by piece.

With m = min(A, B) and v = ln(1 + w/m) the integrand is analytic for |Im v| < π, whatever A and B, so that 24
Gauss-Legendre nodes give it to some 1e-12; what lies e⁻³⁷ below the value at w = 0 is cut off. Where that is
still far, because A or B is tiny beside the length, 128 nodes do it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .arrays import Bools, Floats, in_pieces, joined, weighed

_NEGLIGIBLE = 37.0
_FAR = 7.0  # in v; the nodes needed grow with it


class Rule(NamedTuple):
    """Nodes and weights of Gauss and Legendre on (0, 1)."""

    nodes: Floats
    weights: Floats

    @classmethod
    def of(cls, count: int) -> "Rule":
        points, weights = np.polynomial.legendre.leggauss(count)
        return cls((points[:, None] + 1) / 2, weights / 2)


_FEW, _MANY = Rule.of(24), Rule.of(128)


class Moments(NamedTuple):
    """J and the means of four functions of w under the normalised integrand: the derivatives of ln J."""

    integral: Floats
    log_a: Floats  # of ln(1 + w/A):  ∂lnJ/∂k = −log_a
    log_b: Floats  # of ln(1 + w/B):  ∂lnJ/∂s = −log_b
    inverse_a: Floats  # of 1/(A + w)
    inverse_b: Floats  # of 1/(B + w)


def integral(k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Floats:
    """J(k, s; a, b, length), for arrays of one length."""

    def piece(rows: slice) -> Floats:
        return _by_rule(_integral, k[rows], s, a[rows], b[rows], length[rows])

    return joined(in_pieces(piece, len(k)))


def moments(k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Moments:
    """J with the means that make its gradient, for a piece of the rows."""
    return Moments(*_by_rule(_moments, k, s, a, b, length))


def _by_rule(
    work: Callable[[Rule, Floats, float, Floats, Floats, Floats], Floats],
    k: Floats,
    s: float,
    a: Floats,
    b: Floats,
    length: Floats,
) -> Floats:
    """`work` with few nodes, and where that is not enough with many; rows are its last axis."""
    found = work(_FEW, k, s, a, b, length)
    far = np.flatnonzero(length > np.expm1(_FAR) * np.minimum(a, b))
    if far.size:
        found[..., far] = work(_MANY, k[far], s, a[far], b[far], length[far])
    return found


def _integral(rule: Rule, k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Floats:
    _, scale, _, _, density = _integrand(rule, k, s, a, b, length)
    return np.asarray(scale * weighed(rule.weights, density))


def _moments(rule: Rule, k: Floats, s: float, a: Floats, b: Floats, length: Floats) -> Floats:
    a_smaller, scale, v, log_other, density = _integrand(rule, k, s, a, b, length)
    total = weighed(rule.weights, density)
    share = rule.weights[:, None] * density / total
    log_of_smaller = np.einsum("ij,ij->j", share, v)
    log_of_larger = np.einsum("ij,ij->j", share, log_other)
    inverse_of_smaller = np.einsum("ij,ij->j", share, np.exp(-v)) / np.minimum(a, b)
    inverse_of_larger = np.einsum("ij,ij->j", share, np.exp(-log_other)) / np.maximum(a, b)
    return np.array(
        [
            scale * total,
            np.where(a_smaller, log_of_smaller, log_of_larger),
            np.where(a_smaller, log_of_larger, log_of_smaller),
            np.where(a_smaller, inverse_of_smaller, inverse_of_larger),
            np.where(a_smaller, inverse_of_larger, inverse_of_smaller),
        ]
    )


def _integrand(
    rule: Rule, k: Floats, s: float, a: Floats, b: Floats, length: Floats
) -> tuple[Bools, Floats, Floats, Floats, Floats]:
    """Is A the smaller; dw/dv at v = 0 times the range; on the nodes: v, ln(1 + w/larger), the density."""
    a_smaller = a <= b
    smaller, larger = np.minimum(a, b), np.maximum(a, b)
    power = np.where(a_smaller, k, s + 1)
    other = np.where(a_smaller, s + 1, k)
    ratio = smaller / larger
    reach = _reach(np.log1p(length / smaller), power - 1, other, ratio)
    v = rule.nodes * reach
    log_other = np.log1p(np.expm1(v) * ratio)
    density = np.exp((1 - power) * v - other * log_other)
    return a_smaller, smaller * reach, v, log_other, density


def _reach(v: Floats, power: Floats, other: Floats, ratio: Floats) -> Floats:
    """How far to integrate: v, or where the integrand has become negligible.

    The logarithm of the integrand is concave in v, so that Newton's steps from beyond that point stay beyond.
    """
    far = np.flatnonzero(power * v + other * np.log1p(np.expm1(v) * ratio) > _NEGLIGIBLE)
    if not far.size:
        return v
    near, p, o, r = v[far], power[far], other[far], ratio[far]
    for _ in range(6):
        grown = np.expm1(near) * r
        fall = p * near + o * np.log1p(grown)
        slope = p + o * (grown + r) / (1 + grown)
        near = near - (fall - _NEGLIGIBLE) / slope
    cut = v.copy()
    cut[far] = near
    return cut
