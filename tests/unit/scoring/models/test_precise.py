"""Every answer to nine digits, however extreme, against values computed elsewhere.

precise.csv, precise_amounts.csv and precise_values.csv were computed with mpmath at 60 to 90 digits from the
closed forms of the papers: Pareto/NBD as a difference of two ₂F₁ (Fader and Hardie 2005, "A Note on Deriving
the Pareto/NBD Model"), BG/NBD with one (Fader, Hardie and Lee 2005), MBG/NBD likewise with one more chance to
stop, Gamma-Gamma by its gamma functions (Fader and Hardie 2013), values as the discounted sum of both.
"""

import csv
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from scoring.models import bg_nbd, clv, dropout, gamma_gamma, mbg_nbd, pareto_nbd
from scoring.models.complaint_clock import Clock
from scoring.models.complaint_effect import NO_EFFECT
from scoring.models.complaints import Schedules
from scoring.models.rising import log_rising


def table(name: str) -> list[dict[str, float]]:
    with Path(__file__).with_name(name).open(newline="") as lines:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def label(case: dict[str, float]) -> str:
    return " ".join(f"{key}={value:g}" for key, value in list(case.items())[:9])


CASES, AMOUNTS = table("precise.csv"), table("precise_amounts.csv")
VALUES = table("precise_values.csv")


def check(name: str, module: ModuleType, params: object, case: dict[str, float]) -> None:
    x, t_x, T, t = (case[key] for key in ("x", "t_x", "T", "t"))
    found = {
        "p_alive": module.p_alive(params, x, t_x, T),
        "log_likelihood": module.log_likelihood(params, x, t_x, T),
        "expected_purchases": module.expected_purchases(params, x, t_x, T, t),
        "p_no_purchase": module.p_no_purchase(params, x, T, t),
        "churn": module.churn(params, x, t_x, T, t),
    }
    for key, value in found.items():
        near = 1e-12 if key == "log_likelihood" else 1e-300  # a logarithm may be next to 0
        assert value[0] == pytest.approx(case[f"{name}_{key}"], rel=1e-9, abs=near), key


@pytest.mark.parametrize("case", CASES, ids=label)
def test_pareto_nbd_is_precise(case: dict[str, float]) -> None:
    params = pareto_nbd.Params(case["r"], case["alpha"], case["s"], case["beta"])
    check("pareto", pareto_nbd, params, case)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_bg_nbd_and_mbg_nbd_are_precise(case: dict[str, float]) -> None:
    params = bg_nbd.Params(case["r"], case["alpha"], case["a"], case["b"])
    check("bg", bg_nbd, params, case)
    check("mbg", mbg_nbd, params, case)


@pytest.mark.parametrize("case", AMOUNTS, ids=label)
def test_gamma_gamma_is_precise(case: dict[str, float]) -> None:
    params = gamma_gamma.Params(case["p"], case["q"], case["gamma"])
    x, m = case["x"], case["mean_amount"]
    assert gamma_gamma.log_likelihood(params, x, m)[0] == pytest.approx(case["log_likelihood"], rel=1e-9)
    assert gamma_gamma.expected_amount(params, x, m)[0] == pytest.approx(case["expected_amount"], rel=1e-12)


@pytest.mark.parametrize("case", VALUES, ids=label)
def test_lifetime_value_is_precise(case: dict[str, float]) -> None:
    purchase = pareto_nbd.Params(case["r"], case["alpha"], case["s"], case["beta"])
    spend = gamma_gamma.Params(case["p"], case["q"], case["gamma"])
    terms = clv.Terms(case["margin"], case["yearly_discount"])
    nobody = Clock.of(Schedules.none(), NO_EFFECT)
    row = (case["x"], case["t_x"], case["T"])
    found = clv.clv(purchase, nobody, spend, terms, *row, case["mean_amount"])
    assert found[0] == pytest.approx(case["clv"], rel=1e-9)


def test_a_span_ten_million_times_alpha_costs_no_digits() -> None:
    p = pareto_nbd.Params(r=1, alpha=1e-4, s=1, beta=1)
    assert pareto_nbd.p_alive(p, 0, 0, 1500)[0] == pytest.approx(5.408473341093792e-08, rel=1e-11)


@given(
    a=st.one_of(st.floats(0.05, 5), st.floats(1 - 1e-6, 1 + 1e-6), st.floats(100, 1e5)),
    b=st.floats(0.05, 1e4),
    k=st.floats(0.05, 50),
    z=st.floats(1e-9, 3),
)
def test_purchases_until_dropout_are_a_sum_over_the_purchases_that_luck_would_bring(
    a: float, b: float, k: float, z: float
) -> None:
    """N ~ NegBin(k, z/(1+z)) purchases if nobody dropped out; the j-th takes place if j−1 dropouts did not.

    Σ_{j≥0} P(N > j)·E[(1−p)^j], E[(1−p)^j] = (b)_j/(a+b)_j.
    """
    j = np.arange(20_000.0)
    still = np.exp(np.concatenate([[0.0], np.cumsum(np.log(b + j[:-1]) - np.log(a + b + j[:-1]))]))
    expected = float(np.sum(special.betainc(j + 1, k, z / (1 + z)) * still))
    found = dropout.purchases(a, np.array([b]), np.array([k]), np.array([z]))[0]
    assert found == pytest.approx(expected, rel=1e-9)


@given(base=st.floats(1e-6, 1e12), n=st.integers(0, 50))
def test_the_logarithm_of_a_rising_factorial_is_the_sum_of_its_factors_logarithms(
    base: float, n: int
) -> None:
    expected = math.fsum(math.log(base + i) for i in range(n))
    assert log_rising(base, n) == pytest.approx(expected, rel=1e-11, abs=1e-11)
