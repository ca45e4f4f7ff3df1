"""Judging a candidate: never a worse one, calibrated only where that was proven, with the evidence kept."""

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest

from scoring.care.attempts import evidence
from scoring.care.judging import History, Judgement, judge
from scoring.care.schemas import EvidenceView
from scoring.models.backtest import Complaints, Purchases, cut
from scoring.models.calibration import IDENTITY, Calibrator
from scoring.models.forecast import fit
from scoring.models.pareto_nbd import Params
from scoring.models.score import Model
from tests.unit.scoring.models.worlds import BEGIN, pareto_nbd_world

HORIZON = 90
NO_COMPLAINTS = Complaints(
    np.empty(0, np.int64), np.empty(0, "M8[us]"), np.empty(0, "M8[us]"), np.empty(0, np.int64), np.empty(0)
)


def history(purchases: Purchases, weeks: float = 78) -> History:
    return History(purchases, NO_COMPLAINTS, BEGIN + timedelta(weeks=weeks), 1)


@pytest.fixture(scope="module")
def world() -> History:
    return history(pareto_nbd_world(1200, 1, joining=40))


@pytest.fixture(scope="module")
def good(world: History) -> Model:
    known = cut(world.purchases, None, world.until, date(2099, 1, 1))
    purchase = fit("pareto-nbd", known.customers).forecaster.params
    assert isinstance(purchase, Params)
    return Model(purchase=purchase)


@pytest.fixture(scope="module")
def judged(world: History, good: Model) -> Judgement:
    return judge(good, good, world, HORIZON)


def off(model: Model, **times: float) -> Model:
    """The model with some parameters multiplied."""
    changed = {name: getattr(model.purchase, name) * by for name, by in times.items()}
    return replace(model, purchase=replace(model.purchase, **changed))


def test_a_model_as_good_as_the_served_one_is_published(judged: Judgement) -> None:
    assert judged.published
    assert "not noticeably worse" in judged.why


@pytest.mark.parametrize("times", [{"alpha": 0.3}, {"s": 30.0}, {"alpha": 12.0}])
def test_a_model_worse_than_the_served_one_is_refused_and_the_other_way_round_published(
    world: History, good: Model, times: dict[str, float]
) -> None:
    refused = judge(off(good, **times), good, world, HORIZON)
    assert not refused.published
    assert "worse than the model served" in refused.why
    assert judge(good, off(good, **times), world, HORIZON).published


def test_a_difference_nobody_would_notice_refuses_nothing(world: History, good: Model) -> None:
    """In a quiet season the lower of two rates is beyond chance the better one, by however little."""
    for by in (0.999, 1.001):
        assert judge(off(good, alpha=by), good, world, HORIZON).published


def test_a_worse_calibrator_makes_a_model_worse(world: History, good: Model) -> None:
    served = replace(good, calibrator=Calibrator(2.0, 1.0))
    found = judge(good, served, world, HORIZON)
    assert found.comparison is not None
    assert found.comparison.churn.mean < -5 * found.comparison.churn.error
    assert found.comparison.purchases.mean == 0


def test_backtests_come_after_what_the_calibrator_learnt_from(judged: Judgement) -> None:
    assert len(judged.trials) == 2
    assert judged.learnt is not None
    assert judged.learnt.origin < judged.learnt.until <= judged.trials[0].cut.origin
    assert judged.trials[0].cut.origin < judged.trials[1].cut.origin
    for trial in judged.trials:
        assert (trial.cut.end - trial.cut.origin).days == HORIZON


def test_a_calibrator_is_used_only_where_every_later_backtest_speaks_for_it(judged: Judgement) -> None:
    """Here the model is true, so that there is nothing to correct."""
    assert judged.learnt is not None
    assert judged.learnt.why_not is not None
    assert judged.calibrator == IDENTITY


def test_where_buyers_are_regular_the_calibrator_that_was_proven_is_used() -> None:
    world = history(pareto_nbd_world(3000, 2, weeks=104, joining=20, regular=3), weeks=104)
    found = judge(Model(), Model(), world, 84)
    assert found.learnt is not None
    assert found.learnt.why_not is None
    assert found.calibrator == replace(found.learnt.calibration.calibrator, horizon=12) != IDENTITY
    for trial in found.trials:
        assert trial.evaluation.calibrated.brier < trial.evaluation.raw.brier
        assert trial.evaluation.calibrated.ece <= 0.03


@pytest.mark.parametrize("weeks", [0, 1, 12])
def test_a_history_too_short_for_a_backtest_speaks_against_nothing(weeks: int) -> None:
    world = history(pareto_nbd_world(50, 3, joining=0.1, weeks=12), weeks)
    found = judge(off(Model(), alpha=9.0), Model(), world, HORIZON)
    assert found.published
    assert "too short" in found.why
    assert (found.trials, found.learnt, found.comparison) == ([], None, None)


def test_nobody_has_bought_yet() -> None:
    nobody = history(Purchases(np.empty(0, np.int64), np.empty(0, "M8[D]")))
    assert judge(Model(), Model(), nobody, HORIZON).trials == []


@pytest.mark.parametrize("days", [[0], [0, 30, 60], list(range(0, 500, 5))])
def test_absurd_histories_are_judged_all_the_same(days: list[int]) -> None:
    rows = [(who, BEGIN + timedelta(days=day + who % 3)) for who in range(30) for day in days]
    bought = Purchases(np.array([who for who, _ in rows]), np.array([day for _, day in rows], "M8[D]"))
    found = judge(Model(), Model(), history(bought), HORIZON)
    assert found.published
    assert found.calibrator.slope > 0


def test_the_evidence_can_be_stored_and_shown(judged: Judgement) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(evidence(judged)))
    shown = EvidenceView.model_validate(stored)
    assert shown.calibration is not None
    assert not shown.calibration.used
    assert shown.comparison is not None
    assert shown.comparison.candidate.brier == shown.comparison.served.brier
    assert [trial.customers for trial in shown.trials] == [len(t.cut.bought) for t in judged.trials]
