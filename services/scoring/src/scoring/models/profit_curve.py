"""Lifetime value by fitting a curve to the profit per period and following it on (Dwyer's curve fitting).

Over periods t = 1, 2, … the candidates are

    constant a,  linear a + b·t,  logarithmic a + b·ln t,  power a·t^b,  exponential a·e^{b·t},
    logistic a/(1 + e^{b − c·t}),

each fitted by least squares in the profits themselves, so that their AICc can be compared:

    AICc = n·ln(RSS/n) + 2k + 2k(k+1)/(n−k−1),  k = parameters, with the error's variance

(Hurvich and Tsai 1989, "Regression and time series model selection in small samples"). The lowest is chosen.

What becomes of odd data: a curve needs n ≥ k + 2 periods, so with fewer than 5 only the constant, the mean,
is left; power, exponential and logistic curves never change sign and are left out where any profit is
negative; profits that are all alike make the constant. No period at all is a ValueError.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from .arrays import Floats, floats

Parameters = Sequence[float] | Floats
Shape = Callable[[Parameters, Floats], Floats]
_MOST = 50.0  # in exponents
_EXACT = 1e-9  # of the largest profit: closer fits are as good as each other


def _constant(p: Parameters, t: Floats) -> Floats:
    return np.full_like(t, p[0])


def _linear(p: Parameters, t: Floats) -> Floats:
    return np.asarray(p[0] + p[1] * t)


def _logarithmic(p: Parameters, t: Floats) -> Floats:
    return np.asarray(p[0] + p[1] * np.log(t))


def _power(p: Parameters, t: Floats) -> Floats:
    return np.asarray(p[0] * np.exp(np.clip(p[1] * np.log(t), -_MOST, _MOST)))


def _exponential(p: Parameters, t: Floats) -> Floats:
    return np.asarray(p[0] * np.exp(np.clip(p[1] * t, -_MOST, _MOST)))


def _logistic(p: Parameters, t: Floats) -> Floats:
    return np.asarray(p[0] / (1 + np.exp(np.clip(p[1] - p[2] * t, -_MOST, _MOST))))


def _power_slopes(p: Parameters, t: Floats) -> Floats:
    grown = _power((1.0, p[1]), t)
    return np.column_stack([grown, p[0] * np.log(t) * grown])


def _exponential_slopes(p: Parameters, t: Floats) -> Floats:
    grown = _exponential((1.0, p[1]), t)
    return np.column_stack([grown, p[0] * t * grown])


def _logistic_slopes(p: Parameters, t: Floats) -> Floats:
    share = _logistic((1.0, *p[1:]), t)
    steep = p[0] * share * (1 - share)
    return np.column_stack([share, -steep, t * steep])


SHAPES: dict[str, Shape] = {
    "constant": _constant,
    "linear": _linear,
    "logarithmic": _logarithmic,
    "power": _power,
    "exponential": _exponential,
    "logistic": _logistic,
}
_SLOPES: dict[str, Shape] = {
    "power": _power_slopes,
    "exponential": _exponential_slopes,
    "logistic": _logistic_slopes,
}
"""Per period the derivative in each parameter."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted curve; `lowest` and `highest` are the profits it was fitted to, `periods` how many."""

    shape: str
    parameters: tuple[float, ...]
    periods: int
    lowest: float
    highest: float
    aicc: float | None
    """Of the curves fitted to the same profits the lowest is best; None where there was no choice."""

    def at(self, t: ArrayLike) -> Floats:
        """The profit in period t ≥ 1 (which need not be whole)."""
        (when,) = floats(t)
        return SHAPES[self.shape](self.parameters, when)

    def kept_within(self, t: ArrayLike) -> Floats:
        """The same, never beyond the lowest and highest profit there was: growth is not followed for ever."""
        return np.clip(self.at(t), self.lowest, self.highest)


def fit_curve(profits: ArrayLike) -> Curve:
    """The curve with the lowest AICc through the profits of periods 1, 2, …; see above for odd data."""
    (y,) = floats(profits)
    if not y.size:
        raise ValueError("there is no period to fit a curve to")
    if not np.isfinite(y).all():
        raise ValueError(f"period {int(np.argmin(np.isfinite(y))) + 1}: profit is finite")
    return min(fit_all(y), key=lambda curve: -np.inf if curve.aicc is None else curve.aicc)


def fit_all(y: Floats) -> list[Curve]:
    """Every curve that these profits allow, the simplest first."""
    t, low, high = np.arange(1.0, len(y) + 1), float(y.min()), float(y.max())
    scale = max(abs(low), abs(high))
    if len(y) < 5 or high - low <= _EXACT * scale:
        return [Curve("constant", (float(y.mean()),), len(y), low, high, None)]
    found = []
    for shape, parameters in _fits(t, y / scale):
        error = SHAPES[shape](parameters, t) - y / scale
        if len(y) < len(parameters) + 3:
            continue
        rss = max(float(error @ error), len(y) * _EXACT**2)
        k = len(parameters) + 1
        aicc = len(y) * float(np.log(rss / len(y))) + 2 * k + 2 * k * (k + 1) / (len(y) - k - 1)
        found.append(Curve(shape, _scaled(shape, parameters, scale), len(y), low, high, aicc))
    return found


def _fits(t: Floats, y: Floats) -> list[tuple[str, tuple[float, ...]]]:
    fits = [("constant", (float(y.mean()),)), ("linear", _line(t, y)), ("logarithmic", _line(np.log(t), y))]
    if (y >= 0).all():
        log_y = np.log(np.maximum(y, 1e-3))
        for shape, over in (("power", np.log(t)), ("exponential", t)):
            a, b = _line(over, log_y)
            fits.append((shape, _climbed(shape, t, y, [(np.exp(a), b), (y.mean(), 0.0)])))
        fits.append(("logistic", _climbed("logistic", t, y, _logistic_starts(t, y))))
    return fits


def _line(over: Floats, y: Floats) -> tuple[float, float]:
    middle = over.mean()
    slope = float((over - middle) @ y / ((over - middle) @ (over - middle)))
    return float(y.mean() - slope * middle), slope


def _logistic_starts(t: Floats, y: Floats) -> list[tuple[float, ...]]:
    starts: list[tuple[float, ...]] = []
    for ceiling in (1.02, 1.5, 4.0):
        share = np.clip(y / ceiling, 1e-3, 1 - 1e-3)
        a, b = _line(t, np.log(share / (1 - share)))
        starts.append((ceiling, -a, b))
    return starts


def _climbed(shape: str, t: Floats, y: Floats, starts: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The parameters with the least squares that a search from the starts finds."""
    curve, slopes = SHAPES[shape], _SLOPES[shape]

    def error(p: Floats) -> Floats:
        return curve(p, t) - y

    def slope(p: Floats) -> Floats:
        return slopes(p, t)

    found = [optimize.least_squares(error, start, slope, method="lm", max_nfev=200) for start in starts]
    best = min(found, key=lambda each: float(each.cost))
    return tuple(float(value) for value in best.x)


def _scaled(shape: str, parameters: tuple[float, ...], scale: float) -> tuple[float, ...]:
    if shape in ("linear", "logarithmic"):
        return tuple(value * scale for value in parameters)
    return (parameters[0] * scale, *parameters[1:])
