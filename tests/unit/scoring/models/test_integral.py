"""The two integrals over the time of death, against sums over many short panels."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.models import complaint_integral, integral
from scoring.models.arrays import Floats
from scoring.models.complaint_integral import Told

POINTS, WEIGHTS = np.polynomial.legendre.leggauss(20)


def by_panels(density: Callable[[Floats], Floats], shortest: float, length: float) -> float:
    """∫₀ᴸ density(w) dw over panels evenly spaced in ln(1 + w/shortest)."""
    edges = shortest * np.expm1(np.linspace(0, np.log1p(length / shortest), 200))
    half = np.diff(edges)[:, None] / 2
    nodes = edges[:-1, None] + half * (POINTS + 1)
    return float((half * WEIGHTS * density(nodes)).sum())


def between(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(np.log(least), np.log(most)).map(lambda log: float(np.exp(log)))


@settings(max_examples=300)
@given(
    k=between(0.02, 1000),
    s=between(0.05, 20),
    a=between(0.01, 1000),
    b=between(0.01, 1000),
    length=between(1e-4, 5000),
)
def test_the_integral_is_right_however_wide_and_steep(
    k: float, s: float, a: float, b: float, length: float
) -> None:
    found = integral.integral(np.array([k]), s, np.array([a]), np.array([b]), np.array([length]))
    expected = by_panels(
        lambda w: np.exp(-k * np.log1p(w / a) - (s + 1) * np.log1p(w / b)), min(a / k, a, b), length
    )
    assert found[0] == pytest.approx(expected, rel=1e-10)


@settings(max_examples=300)
@given(
    k=between(0.05, 400),
    a=between(1, 300),
    b=between(1, 300),
    power=between(0.05, 30),
    exposure=between(5, 300),
    share=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    trace=st.just(0.0) | between(1e-3, 30),
    lag=between(0.1, 40),
    closing=st.sampled_from([0.0, 0.1, 5.0]),
    length=between(0.02, 400),
)
def test_the_integral_with_signs_of_life_is_right_however_steep(
    k: float,
    a: float,
    b: float,
    power: float,
    exposure: float,
    share: float,
    trace: float,
    lag: float,
    closing: float,
    length: float,
) -> None:
    told = Told(
        *(np.array([power]), np.array([exposure]), share, np.array([trace]), lag, np.array([closing]))
    )
    found = complaint_integral.integral(
        np.array([k]), 1.2, np.array([a]), np.array([b]), told, np.array([length])
    )

    def density(w: Floats) -> Floats:
        exposed = share * (w - trace * np.expm1(-w / lag)) / exposure
        falls = k * np.log1p(w / a) + 2.2 * np.log1p(w / b) + power * np.log1p(exposed) + closing * w
        return np.asarray(np.exp(-falls))

    expected = by_panels(density, min(a / k, a, b, lag, exposure), length)
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_the_means_of_the_gradient_come_from_the_same_nodes_as_the_integral() -> None:
    random = np.random.default_rng(1)
    k, a, b, length = (np.exp(random.uniform(np.log(low), np.log(5), 50)) for low in (0.1, 0.5, 0.5, 0.01))
    found = integral.moments(k, 1.2, a, b, length)
    np.testing.assert_array_equal(found.integral, integral.integral(k, 1.2, a, b, length))

    def slope(change: Callable[[float], Floats]) -> Floats:
        return np.asarray((np.log(change(1e-5)) - np.log(change(-1e-5))) / 2e-5)

    J = integral.integral
    np.testing.assert_allclose(-found.log_a, slope(lambda by: J(k + by, 1.2, a, b, length)), rtol=1e-5)
    np.testing.assert_allclose(-found.log_b, slope(lambda by: J(k, 1.2 + by, a, b, length)), rtol=1e-5)
    by_a = k / a - k * found.inverse_a
    np.testing.assert_allclose(by_a, slope(lambda by: J(k, 1.2, a + by, b, length)), rtol=1e-4, atol=1e-8)
    by_b = 2.2 / b - 2.2 * found.inverse_b
    np.testing.assert_allclose(by_b, slope(lambda by: J(k, 1.2, a, b + by, length)), rtol=1e-4, atol=1e-8)
