"""`scoring fit`: a model's parameters from rows of customers."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scoring.analysis import files, since_first
from scoring.analysis.arguments import add_assumed_effect, assumed_effect
from scoring.analysis.files import BadFile, Rfm
from scoring.analysis.model_file import (
    MODELS,
    PURCHASES,
    SPENDING,
    WITH_COMPLAINTS,
    document,
)
from scoring.analysis.since_first import Known
from scoring.models import gamma_gamma
from scoring.models.complaint_effect import NO_EFFECT, Gamma, named
from scoring.models.complaint_fit import fit_clock
from scoring.models.fit import ENOUGH_REPEAT_BUYERS, known
from scoring.models.rfm import MANY_ROWS, Rows

HARDLY_KNOWN = 2.0
"""A standard error of so many times the parameter says that the data do not tell it."""

_SIGNS = "complaints still count as signs of life: how they come was estimated together with that effect"
_NO_SIGNS = "complaints do not count as signs of life: how they come was not estimated with that effect"

DESCRIPTION = """\
Maximum likelihood (--prior none), or maximum a posteriori with the published values as the prior (--prior
published), in units of these customers' own pace: the better choice where they are few."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.description = DESCRIPTION
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument(
        "--prior", choices=("none", "published"), default="published", help="default: published"
    )
    parser.add_argument("--input", type=Path, required=True, help="CSV: customer,x,t_x,T,mean_amount; weeks")
    parser.add_argument(
        "--complaints",
        type=Path,
        help=f"CSV: customer,opened,resolved,outcome,severity; for {WITH_COMPLAINTS}",
    )
    add_assumed_effect(parser)
    parser.add_argument("--output", type=Path, required=True, help="JSON: the model")


def run(arguments: argparse.Namespace) -> int:
    """Write the model; 2 where complaints and model do not go together."""
    if (arguments.model == WITH_COMPLAINTS) != bool(arguments.complaints):
        print(f"--complaints goes with --model {WITH_COMPLAINTS}, and only with it", file=sys.stderr)
        return 2
    if arguments.assumed_effect and not (arguments.complaints and arguments.prior == "published"):
        print("--assumed-effect goes with --complaints and --prior published", file=sys.stderr)
        return 2
    rfm = files.read_rfm(arguments.input)
    complaints = since_first.read(arguments.complaints, rfm) if arguments.complaints else None
    _refuse_too_little(arguments, rfm)
    if len(rfm.labels) > MANY_ROWS:
        print(f"fitting {arguments.model} to {len(rfm.labels):,} customers", file=sys.stderr)
    assumed = assumed_effect(arguments) if arguments.prior == "published" else NO_EFFECT
    told = _fit(arguments.model, arguments.prior, rfm, complaints, assumed)
    for note in [*(complaints.notes if complaints else []), *_doubts(told)]:
        print(note, file=sys.stderr)
    files.write_json(arguments.output, told)
    return 0


def _refuse_too_little(arguments: argparse.Namespace, rfm: Rfm) -> None:
    """BadFile where there is nothing that a model could be fitted to."""
    path = arguments.input
    if not rfm.labels:
        raise BadFile(f"{path}: has no customers, so there is nothing to fit a model to")
    if arguments.model == SPENDING:
        if rfm.mean_amount is None:
            raise BadFile(f"{path}, column mean_amount: is missing, which {SPENDING} is fitted to")
        if not ((rfm.x > 0) & (rfm.mean_amount > 0)).any():
            raise BadFile(f"{path}: no customer has x > 0 and mean_amount > 0, which {SPENDING} is fitted to")
    elif arguments.prior == "none" and not (rfm.x > 0).any():
        raise BadFile(
            f"{path}: no customer has x > 0, and of customers who all bought once the likelihood has no peak;"
            " --prior published has an answer"
        )


def _fit(model: str, prior: str, rfm: Rfm, complaints: Known | None, assumed: Gamma) -> dict[str, Any]:
    use_prior = prior == "published"
    if model == SPENDING and rfm.mean_amount is not None:
        amounts = rfm.mean_amount.copy()
        amounts[rfm.x == 0] = 0.0
        return document(model, prior, gamma_gamma.fit(rfm.x, amounts, use_prior=use_prior))
    rows = Rows.of(rfm.x, rfm.t_x, rfm.T)
    if complaints is None:
        return document(model, prior, PURCHASES[model].fit(rows, use_prior=use_prior))
    return _fit_with_complaints(model, prior, rows, complaints, assumed)


def _fit_with_complaints(
    model: str, prior: str, rows: Rows, complaints: Known, assumed: Gamma
) -> dict[str, Any]:
    """The estimate and its evidence, and what forecasts use: γ as estimated where the evidence is clear.

    Else γ as assumed, or none where no prior is wanted, and the rest fitted with it (`ClockFit.in_use`).
    """
    use_prior = prior == "published"
    found = fit_clock(rows, complaints.schedules, complaints.complaints, use_prior=use_prior, assumed=assumed)
    told = document(model, prior, found.purchase)
    told["parameters"] |= named(asdict(found.gamma))
    told["standard_errors"] |= known(named(found.standard_errors))
    told["evidence"] = {
        "complaints": found.complaints,
        "log_likelihood_with_complaints": found.log_likelihood,
        "statistic": found.statistic,
        "p_value": found.p_value,
        "p_assumed": found.p_assumed,
        "used": found.usable,
        "why_not": found.why_not,
    }
    told["in_use"] = asdict(found.in_use.purchase.params) | named(asdict(found.in_use.gamma))
    return told


def _doubts(told: dict[str, Any]) -> list[str]:
    """What an analyst should know before believing it."""
    found = []
    if told["prior_driven"]:
        found.append(f"prior-driven: fewer than {ENOUGH_REPEAT_BUYERS} customers bought again")
    if not told["converged"]:
        found.append("not converged: the likelihood has no peak, the data do not determine the parameters")
    loose = [
        name
        for name, error in told["standard_errors"].items()
        if error is not None and error > HARDLY_KNOWN * abs(told["parameters"][name])
    ]
    if loose and told["converged"] and told["prior"] == "none":
        found.append(f"the data hardly determine {', '.join(loose)}: see standard_errors")
    if "evidence" in told and not told["evidence"]["used"]:
        effect = "the effect assumed" if told["prior"] == "published" else "no effect"
        found.append(f"forecasts use {effect} of complaints, not the estimate: {told['evidence']['why_not']}")
        found.append(_SIGNS if told["in_use"]["coming_after_death"] < 1 else _NO_SIGNS)
    return found
