"""Purchases until customers drop out, after each purchase with a probability p of their own.

    h(a, b; k, z) = E[(1 − (1 + p·z)^{−k})/p],  p ~ Beta(a, b),

are the purchases that BG/NBD expects of a customer who is alive, with k = r+x, z = t/(α+T) and the Beta as
it is known by now: the mean of (1 − e^{−λpt})/p over λ ~ Gamma(k, α+T) (Fader, Hardie and Lee 2005).

Published is C/(a−1)·[1 − (1−z')^k ₂F₁(k, b; C; z')], with C = a+b−1 and z' = z/(1+z). That difference is
nothing at a = 1 and loses its digits near that, for small z and for large parameters. There the mean is taken
numerically, over y = ln(p/(1−p)), where everything is smooth and positive.
"""

import numpy as np
from scipy import special

from .arrays import Floats, in_pieces, joined, weighed
from .integral import Rule

_SMALLEST_DIFFERENCE = 1e-3  # three of sixteen digits lost
_LARGEST = 200.0  # parameters for which ₂F₁ is trusted
_NEGLIGIBLE = 40.0  # e⁻⁴⁰ of the highest value
_NARROW = 12.0  # in y
_AT_ONCE = 512
_FEW, _MANY = Rule.of(48), Rule.of(256)


def purchases(a: float, b: Floats, k: Floats, z: Floats) -> Floats:
    """h, for arrays of one length."""

    def piece(rows: slice) -> Floats:
        found = _closed_form(a, b[rows], k[rows], z[rows])
        lost = np.flatnonzero(np.isnan(found)) + rows.start
        for start in range(0, len(lost), _AT_ONCE):
            some = lost[start : start + _AT_ONCE]
            found[some - rows.start] = _mean(a, b[some], k[some], z[some])
        return found

    return joined(in_pieces(piece, len(k)))


def _closed_form(a: float, b: Floats, k: Floats, z: Floats) -> Floats:
    """After Euler's transformation, (1−z')^{a−1} ₂F₁(C−k, a−1; C; z'), which k in the hundreds leave finite.

    NaN where it is not precise.
    """
    if a > _LARGEST or a == 1:
        return np.full_like(k, np.nan)
    c = a + b - 1
    with np.errstate(all="ignore"):
        taken = np.exp((1 - a) * np.log1p(z)) * special.hyp2f1(c - k, a - 1, c, z / (1 + z))
        precise = np.abs(1 - taken) >= _SMALLEST_DIFFERENCE * np.maximum(1, np.abs(taken))
        precise &= np.isfinite(taken) & (np.abs(c - k) < _LARGEST)
        return np.where(precise, c / (a - 1) * (1 - taken), np.nan)


def _mean(a: float, b: Floats, k: Floats, z: Floats) -> Floats:
    """By Gauss and Legendre over y, as far as the density of y matters."""
    mode = np.log(a / b)
    low = _edge(a, b, mode, np.minimum(mode, -_NEGLIGIBLE - np.log1p(a + b + (k + 1) * z)), 1.0)
    high = _edge(a, b, mode, np.maximum(mode, _NEGLIGIBLE + np.log1p(a + b + k)), 0.0)
    narrow = high - low < _NARROW
    found = np.empty_like(k)
    for rule, rows in ((_FEW, np.flatnonzero(narrow)), (_MANY, np.flatnonzero(~narrow))):
        if rows.size:
            found[rows] = _between(rule, a, b[rows], k[rows], z[rows], low[rows], high[rows])
    return found


def _edge(a: float, b: Floats, mode: Floats, flat: Floats, slope: float) -> Floats:
    """From where on the density is negligible, or all is flat; h may fall like e^{−y}: `slope` 1."""
    highest = _log_density(a, b, mode)
    outer, inner = flat, mode
    for _ in range(24):
        middle = (outer + inner) / 2
        far = highest - _log_density(a, b, middle) - slope * (mode - middle) > _NEGLIGIBLE
        outer, inner = np.where(far, middle, outer), np.where(far, inner, middle)
    return outer


def _between(rule: Rule, a: float, b: Floats, k: Floats, z: Floats, low: Floats, high: Floats) -> Floats:
    """The mean over y in these bounds, and over the tails beyond.

    There the density falls like e^{ay} and e^{−by}, and h does not change any more.
    """

    def h(y: Floats) -> Floats:
        p = special.expit(y)
        return np.asarray(-np.expm1(-k * np.log1p(p * z)) / p)

    highest = _log_density(a, b, np.log(a / b))
    y = low + rule.nodes * (high - low)
    density = np.exp(_log_density(a, b, y) - highest) * (high - low)
    below = np.exp(_log_density(a, b, low) - highest) / a
    above = np.exp(_log_density(a, b, high) - highest) / b
    total = weighed(rule.weights, density) + below + above
    return (weighed(rule.weights, density * h(y)) + below * h(low) + above * h(high)) / total


def _log_density(a: float, b: Floats, y: Floats) -> Floats:
    return np.asarray(a * special.log_expit(y) + b * special.log_expit(-y))
