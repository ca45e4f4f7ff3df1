import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.models.profit_curve import SHAPES, fit_all, fit_curve

T = np.arange(1.0, 13)
KNOWN = {
    "linear": (10.0, 3.0),
    "logarithmic": (5.0, 4.0),
    "power": (50.0, -0.7),
    "exponential": (80.0, -0.3),
    "logistic": (100.0, 4.0, 0.8),
}


@pytest.mark.parametrize("shape", KNOWN)
def test_each_curve_is_recognised_and_followed(shape: str) -> None:
    curve = fit_curve(SHAPES[shape](KNOWN[shape], T))
    assert curve.shape == shape
    assert curve.parameters == pytest.approx(KNOWN[shape], rel=1e-5)
    later = np.array([13.0, 20.5])
    assert curve.at(later) == pytest.approx(SHAPES[shape](KNOWN[shape], later), rel=1e-5)


@pytest.mark.parametrize("shape", ["linear", "power", "logistic"])
def test_noise_does_not_hide_a_curve(shape: str) -> None:
    y = SHAPES[shape](KNOWN[shape], T)
    noisy = y + np.random.default_rng(3).normal(0, 0.02 * y.max(), len(y))
    curve = fit_curve(noisy)
    assert curve.at(T) == pytest.approx(y, abs=0.04 * y.max())


def test_the_curve_with_the_lowest_aicc_is_chosen() -> None:
    y = np.array([9.0, 7, 8, 5, 4, 4.5, 3, 2, 2.5, 1])
    fits = fit_all(y)
    assert [curve.shape for curve in fits] == list(SHAPES)
    chosen = fit_curve(y)
    assert chosen.aicc == min(curve.aicc for curve in fits if curve.aicc is not None)


def test_aicc_is_as_defined() -> None:
    y = np.array([1.0, 2, 2, 4, 5, 5])
    (linear,) = [curve for curve in fit_all(y) if curve.shape == "linear"]
    rss = float(((linear.at(np.arange(1.0, 7)) - y) ** 2).sum()) / 25  # in units of the largest profit
    assert linear.aicc == pytest.approx(6 * np.log(rss / 6) + 2 * 3 + 2 * 3 * 4 / (6 - 3 - 1))


@pytest.mark.parametrize("profits", [[7.0], [1.0, 3.0], [5, 1, 2, 8]])
def test_of_too_few_periods_the_mean_is_taken(profits: list[float]) -> None:
    curve = fit_curve(profits)
    assert (curve.shape, curve.aicc) == ("constant", None)
    assert curve.at([1, 99]) == pytest.approx([np.mean(profits)] * 2)


def test_no_period_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no period"):
        fit_curve([])


def test_a_profit_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="period 2"):
        fit_curve([1, np.nan, 3])


@pytest.mark.parametrize("profit", [0.0, 5.0, -3.0, 1e12])
def test_constant_profits_stay_constant(profit: float) -> None:
    curve = fit_curve([profit] * 8)
    assert curve.shape == "constant"
    assert curve.at([3, 50]) == pytest.approx([profit, profit])


def test_negative_profits_rule_out_the_curves_that_cannot_be_negative() -> None:
    fits = {curve.shape for curve in fit_all(np.array([-3.0, -2, -1, 0, 1, 2, 3, 4.5]))}
    assert fits == {"constant", "linear", "logarithmic"}
    assert fit_curve(-2 - 3 * T).at([20.0]) == pytest.approx([-62])


def test_growth_is_not_followed_beyond_what_there_was() -> None:
    curve = fit_curve(SHAPES["exponential"]((1.0, 0.4), T))
    assert curve.at([50.0])[0] > 1e6
    assert curve.kept_within([50.0]) == pytest.approx([curve.highest])


profits = st.lists(st.floats(0, 1000) | st.floats(0, 1e15), min_size=5, max_size=24)


@settings(max_examples=40)
@given(profits)
def test_any_profits_have_a_finite_curve_that_fits_no_worse_than_their_mean(some: list[float]) -> None:
    y = np.array(some)
    for curve in fit_all(y):
        assert np.isfinite(curve.parameters).all()
        assert np.isfinite(curve.at(np.linspace(1, 200, 50))).all()
    chosen = fit_curve(y)
    at = chosen.at(np.arange(1.0, len(y) + 1))
    assert ((at - y) ** 2).sum() <= ((y - y.mean()) ** 2).sum() * (1 + 1e-9) + 1e-9 * (1 + y.max() ** 2)
    assert (chosen.kept_within([500.0]) <= y.max()).all()


@settings(max_examples=40)
@given(profits, st.sampled_from([0.01, 100.0, 1e6]))
def test_the_unit_of_money_does_not_matter(some: list[float], unit: float) -> None:
    one, other = fit_curve(some), fit_curve(np.array(some) * unit)
    assert other.kept_within([9.0]) == pytest.approx(one.kept_within([9.0]) * unit, rel=1e-3, abs=1e-6 * unit)
