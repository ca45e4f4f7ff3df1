"""Models fitted to populations that nobody expects: finite, or nothing to fit."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from tests.service.scoring.conftest import NOW, Scoring, cancelled, created, placed, read

DAY = timedelta(days=1)


def once(_: int) -> list[datetime]:
    return [NOW - 30 * DAY]


@pytest.mark.parametrize(
    ("customers", "days", "amount"),
    [
        pytest.param(1, lambda _: [NOW - 30 * DAY, NOW - 9 * DAY], 900, id="one customer"),
        pytest.param(60, lambda n: [NOW - (n + 1) * DAY], 900, id="nobody bought again"),
        pytest.param(60, once, 900, id="everyone on the same day"),
        pytest.param(60, lambda _: [NOW], 900, id="everyone a moment ago"),
        pytest.param(60, lambda _: [NOW + DAY], 900, id="everyone ahead of the clock"),
        pytest.param(60, lambda n: [NOW - 200 * DAY, NOW - (n + 1) * DAY], 900, id="all amounts alike"),
        pytest.param(60, lambda n: [NOW - 200 * DAY, NOW - (n + 1) * DAY], 0, id="everything for nothing"),
        pytest.param(60, lambda n: [NOW - 200 * DAY, NOW - (n + 1) * DAY], 10**15, id="the largest amounts"),
        pytest.param(
            5,
            lambda n: [NOW - (k if n == 0 else 40 * (k + n)) * DAY for k in range(10_000 if n == 0 else 2)],
            900,
            id="one with ten thousand purchases among few",
        ),
    ],
)
async def test_a_model_fitted_to_an_absurd_population_is_finite_or_not_served(
    scoring: Scoring,
    analyst: httpx.AsyncClient,
    customers: int,
    days: Callable[[int], list[datetime]],
    amount: int,
) -> None:
    people = [uuid4() for _ in range(customers)]
    await scoring.tell(*[placed(who, at, amount) for n, who in enumerate(people) for at in days(n)])
    answer = await analyst.post("/v1/models/fit")
    assert answer.status_code == 201, answer.text
    model = answer.json()
    numbers = [value for part in model["parameters"].values() for value in part.values()]
    assert all(math.isfinite(value) for value in numbers)
    assert model["prior_driven"] == (model["repeat_buyers"] < 50)
    for who in people[:3]:
        score = await read(analyst, who)
        assert 0 <= score["p_alive"] <= 1
        assert 0 <= score["churn"]["probability"] <= 1
        assert 0 <= score["value_minor"] < 10**18
    assert await scoring.look() == customers
    assert len((await analyst.get("/v1/scores?limit=100")).json()["items"]) == customers


async def test_before_anybody_has_bought_there_is_nothing_to_fit_and_the_published_model_serves(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    gone = placed(uuid4(), NOW - DAY)
    await scoring.tell(created(uuid4()), gone, cancelled(gone, NOW))
    answer = await analyst.post("/v1/models/fit")
    assert answer.status_code == 409
    assert "import orders first" in answer.json()["detail"]
    (served,) = (await analyst.get("/v1/models")).json()["items"]
    assert (served["version"], served["state"]) == (0, "served")
