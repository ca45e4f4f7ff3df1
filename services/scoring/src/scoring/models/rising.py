"""lnΓ(b + n) − lnΓ(b), which loses its digits as a difference where b is large."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .arrays import Floats

_LARGE = 100.0


def log_rising(base: ArrayLike, by: ArrayLike) -> Floats:
    """lnΓ(base + by) − lnΓ(base), for base > 0 and by ≥ 0; from 100 on by Stirling's series."""
    b, n = np.asarray(base, dtype=np.float64), np.asarray(by, dtype=np.float64)
    if not (b >= _LARGE).any():
        return np.asarray(special.gammaln(b + n) - special.gammaln(b))
    large = (b - 0.5) * np.log1p(n / b) + n * (np.log(b + n) - 1) + _correction(b + n) - _correction(b)
    return np.where(b >= _LARGE, large, special.gammaln(b + n) - special.gammaln(b))


def _correction(z: Floats) -> Floats:
    return np.asarray((1 / 12 - (1 / 360 - 1 / (1260 * z * z)) / (z * z)) / z)
