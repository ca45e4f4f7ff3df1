import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.models.loss import Rumour, own_loss, total_loss

MRS_SMITH = own_loss(50, 52, 10)


def test_mrs_smith_alone_would_have_spent_26000() -> None:
    assert MRS_SMITH == 26_000


@pytest.mark.parametrize(("told", "others", "total"), [(10, 7.5, 221_000), (20, 15, 416_000), (0, 0, 26_000)])
def test_mrs_smith_takes_others_along(told: float, others: float, total: float) -> None:
    assert Rumour(told=told).others == others
    assert total_loss(MRS_SMITH, Rumour(told=told)) == total


def test_every_factor_counts() -> None:
    assert Rumour(told=8, heeding_share=0.25, retold_to=2, leaving_share=0.5).others == 3
    assert Rumour(leaving_share=0).others == 0
    assert own_loss(30, 50, 2) == 3000


@given(st.floats(0, 1000), st.floats(0, 1), st.floats(0, 1000), st.floats(0, 1), st.floats(0, 1e6))
def test_losing_others_too_is_never_cheaper(
    told: float, heeding: float, retold: float, leaving: float, own: float
) -> None:
    total = total_loss(own, Rumour(told, heeding, retold, leaving))
    assert total >= own
    assert total_loss(2 * own, Rumour(told, heeding, retold, leaving)) == pytest.approx(2 * total)


@pytest.mark.parametrize(
    "wrong",
    [{"told": -1}, {"heeding_share": 1.1}, {"retold_to": float("inf")}, {"leaving_share": float("nan")}],
)
def test_a_rumour_that_is_none_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rumour(**wrong)


@pytest.mark.parametrize(("spend", "years", "name"), [(-1, 1, "spend_per_week"), (1, float("nan"), "years")])
def test_spending_that_is_none_is_refused_by_name(spend: float, years: float, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        own_loss(spend, 52, years)
