"""`scoring evaluate`: fit each model to the past up to a day, and compare with what happened after it."""

import argparse
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from scoring.analysis import files
from scoring.analysis.arguments import add_assumed_effect, assumed_effect, day
from scoring.models import forecast
from scoring.models.backtest import (
    Complaints,
    Cut,
    Evaluation,
    Purchases,
    cut,
    evaluate,
    learn,
    like_origin,
)
from scoring.models.calibration import why_not
from scoring.models.complaint_effect import named
from scoring.models.complaint_fit import ENOUGH_COMPLAINTS
from scoring.models.fit import known
from scoring.models.metrics import Metrics

DESCRIPTION = """\
Fits every model to the purchases up to and with --calibration-end, and measures its forecasts of churn and
purchases against those up to and with --holdout-end. The calibrator learns from forecasts made at
--calibrate-origin; where that looks less far ahead against its past than the holdout does, at the earlier day
that looks as far. Nothing after --calibration-end is learnt from."""

UNSEEN_SHARE = 0.1
"""A longer part of the period without a purchase at its end is taken for one that the file does not cover."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.description = DESCRIPTION
    parser.add_argument("--transactions", type=Path, required=True, help="CSV: customer,date,amount")
    parser.add_argument("--complaints", type=Path, help="CSV: customer,opened,resolved,outcome,severity")
    for name, what in (
        ("calibration-end", "the last day that the models learn from"),
        ("holdout-end", "the last day that they are measured on"),
        ("calibrate-origin", "the day of the earlier forecasts that the calibrator learns from"),
    ):
        parser.add_argument(f"--{name}", type=day, required=True, metavar="DATE", help=what)
    add_assumed_effect(parser)
    parser.add_argument("--output", type=Path, required=True, help="JSON: the metrics of each model")
    parser.add_argument("--report", type=Path, help="HTML: a page for people")


def run(arguments: argparse.Namespace) -> int:
    """Write the metrics, and the report where one is wanted; 2 where the dates make no sense."""
    purchases, complaints, last = _read(arguments)
    problem = _misplaced(arguments, purchases)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    for note in _notes(arguments, last):
        print(note, file=sys.stderr)
    now = cut(purchases, complaints, arguments.calibration_end, arguments.holdout_end)
    past = _earlier(arguments, purchases, complaints)
    kinds = [k for k in forecast.KINDS if k != forecast.WITH_COMPLAINTS or complaints is not None]
    assumed = assumed_effect(arguments)
    found = {kind: evaluate(kind, now, learn(kind, past, assumed), assumed) for kind in kinds}
    files.write_json(
        arguments.output,
        {kind: _entry(evaluation, now, past, arguments, last) for kind, evaluation in found.items()},
    )
    if arguments.report:
        from scoring.analysis.evaluation_report import render  # with what draws, two seconds to import

        with files.replacing(arguments.report) as page:
            page.write(render(found, now, past, purchases))
    return 0


def _read(arguments: argparse.Namespace) -> tuple[Purchases, Complaints | None, np.datetime64 | None]:
    """Purchases, complaints, and the day of the last purchase in the file."""
    told = files.read_transactions(arguments.transactions)
    days = told.instant.astype("datetime64[D]")
    last = days.max() if days.size else None
    complaints = None
    if arguments.complaints:
        found = files.read_complaints(arguments.complaints, told.labels)
        complaints = Complaints(
            found.customer, found.opened, found.resolved, found.outcome, found.severity
        )  # fmt: skip
    return Purchases(told.customer, days), complaints, last


def _misplaced(arguments: argparse.Namespace, purchases: Purchases) -> str | None:
    """Which rule the dates break."""
    origin, end, until = arguments.calibrate_origin, arguments.calibration_end, arguments.holdout_end
    if until <= end:
        return f"--holdout-end {until}: is not after --calibration-end {end}"
    if origin >= end:
        return f"--calibrate-origin {origin}: is not before --calibration-end {end}"
    for name, last in (("calibration-end", end), ("calibrate-origin", origin)):
        if not purchases.day.size or purchases.day.min() > np.datetime64(last):
            return f"--{name} {last}: {arguments.transactions} has no purchase up to that day"
    return None


def _notes(arguments: argparse.Namespace, last: np.datetime64 | None) -> list[str]:
    """What the analyst should know of the period."""
    end, until = np.datetime64(arguments.calibration_end), np.datetime64(arguments.holdout_end)
    if last is None or until - last <= (until - end) * UNSEEN_SHARE:
        return []
    return [
        f"the last purchase in {arguments.transactions} is of {last}: if what came after it, up to"
        f" --holdout-end {until}, was not written down, everybody is taken for lost then"
    ]


def _earlier(arguments: argparse.Namespace, purchases: Purchases, complaints: Complaints | None) -> Cut:
    """The past as seen from where the calibrator learns, over a horizon no longer than the holdout's."""
    end, ahead = arguments.calibration_end, arguments.holdout_end - arguments.calibration_end
    begin: date = purchases.day.min().item()
    origin = min(arguments.calibrate_origin, like_origin(begin, end, arguments.holdout_end))
    return cut(purchases, complaints, origin, min(end, origin + ahead))


def _entry(
    found: Evaluation, now: Cut, past: Cut, arguments: argparse.Namespace, last: np.datetime64 | None
) -> dict[str, Any]:
    """What metrics.json says of one model."""
    fit, learnt = found.fitted.fit, found.calibration
    customers = len(now.bought)
    against = why_not(learnt, found.raw, found.calibrated)
    return {
        "raw": _metrics(found.raw),
        "calibrated": _metrics(found.calibrated),
        "n": customers,
        "observed": {
            "churned": int(now.churned.sum()),
            "churn_rate": float(now.churned.mean()),
            "purchases": int(now.bought.sum()),
            "purchases_per_customer": float(now.bought.mean()),
            "last_purchase": str(last),
        },
        "expected": {
            "churn_rate": float(found.churn.mean()),
            "churn_rate_interval_90": list(found.churn_interval),
            "calibrated_churn_rate": float(found.calibrated_churn.mean()),
            "purchases_per_customer": float(found.purchases.mean()),
            "purchases_per_customer_interval_90": list(found.purchases_interval),
        },
        "prior_driven": fit.prior_driven,
        "repeat_buyers": fit.repeat_buyers,
        "converged": fit.converged,
        "parameters": found.fitted.forecaster.parameters,
        "standard_errors": known(dict(fit.standard_errors) | _of_complaints(found)),
        "log_likelihood": fit.log_likelihood,
        "complaints": _complaints(found, now),
        "calibration": {
            "asked_origin": str(arguments.calibrate_origin),
            "origin": str(past.origin),
            "until": str(past.end),
            "horizon_weeks": past.horizon,
            "customers": learnt.customers,
            "calibrator": asdict(learnt.calibrator),
            "as_fitted": asdict(learnt.fitted),
            "standard_errors": {"intercept": learnt.errors[0], "log_slope": learnt.errors[1]},
            "statistic": learnt.statistic,
            "p_value": learnt.p_value,
            "publishable": against is None,
            "why_not": against,
        },
        "period": {
            "calibration_end": str(now.origin),
            "holdout_end": str(now.end),
            "horizon_weeks": now.horizon,
        },
    }


def _metrics(found: Metrics) -> dict[str, Any]:
    told: dict[str, Any] = asdict(found)
    told["undetermined"] = dict(found.undetermined)
    return told


def _complaints(found: Evaluation, now: Cut) -> dict[str, Any] | None:
    """How many complaints there were, whether what they do was estimated or is assumed, and whether they are
    taken as signs of life, which is never assumed."""
    if found.fitted.forecaster.kind != forecast.WITH_COMPLAINTS:
        return None
    clock = found.fitted.clock
    used = clock is not None and clock.usable
    return {
        "complaints": now.complaints,
        "effect": "estimated" if used else "prior",
        "signs_of_life": found.fitted.forecaster.gamma.tells_of_life,
        "p_value": None if clock is None else clock.p_value,
        "p_assumed": None if clock is None else clock.p_assumed,
        "why_not": f"fewer than {ENOUGH_COMPLAINTS} complaints" if clock is None else clock.why_not,
    }


def _of_complaints(found: Evaluation) -> dict[str, float]:
    """The errors of what complaints do and tell, as far as it was estimated and is used."""
    clock = found.fitted.clock
    return {} if clock is None else named(clock.in_use.standard_errors)
