"""Every attempt at a model, what became of it, and what that was decided on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scoring.care.domain import PUBLISHED, Served
from scoring.care.judging import Judgement, Learnt, Trial
from scoring.models.metrics import Metrics
from shared.errors import Conflict

ModelState = Literal["served", "superseded", "refused"]
"""Scores are computed with it; they were before; they never were."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model with the decision about it; `evidence` is None for the published prior."""

    model: Served
    state: ModelState
    why: str
    evidence: Mapping[str, Any] | None


PRIOR_WHY = "it is the published prior, which needs no data"


def prior(state: ModelState) -> Attempt:
    """The published prior, as an attempt among others."""
    return Attempt(PUBLISHED, state, PRIOR_WHY, None)


def may_serve(attempt: Attempt) -> None:
    """Refuse to serve again what never was fit to be served."""
    if attempt.state == "refused":
        raise Conflict(
            f"Model {attempt.model.version} was refused, and cannot be served: {attempt.why}. "
            "Serve one that was served before; GET /v1/models lists them."
        )


def evidence(judgement: Judgement) -> dict[str, Any]:
    """What a judgement stands on, as it is stored."""
    compared = judgement.comparison
    return {
        "one_in": judgement.one_in,
        "trials": [_trial(trial) for trial in judgement.trials],
        "calibration": judgement.learnt and _learnt(judgement.learnt),
        "comparison": compared
        and {
            "origin": compared.origin.isoformat(),
            "until": compared.until.isoformat(),
            "customers": compared.customers,
            "candidate": _metrics(compared.candidate),
            "served": _metrics(compared.served),
            "churn": asdict(compared.churn),
            "purchases": asdict(compared.purchases),
        },
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "origin": trial.cut.origin.isoformat(),
        "until": trial.cut.end.isoformat(),
        "customers": len(trial.cut.bought),
        "churn_rate": float(trial.cut.churned.mean()),
        "raw": _metrics(trial.evaluation.raw),
        "calibrated": _metrics(trial.evaluation.calibrated),
    }


def _learnt(learnt: Learnt) -> dict[str, Any]:
    found = learnt.calibration
    return {
        "origin": learnt.origin.isoformat(),
        "until": learnt.until.isoformat(),
        "customers": found.customers,
        "as_fitted": asdict(found.fitted),
        "calibrator": asdict(found.calibrator),
        "p_value": found.p_value,
        "used": learnt.why_not is None,
        "why_not": learnt.why_not,
    }


def _metrics(found: Metrics) -> dict[str, Any]:
    return asdict(found) | {"undetermined": dict(found.undetermined)}
