"""`scoring predict`: what to expect of each customer."""

import argparse
import sys
from pathlib import Path

import numpy as np

from scoring.analysis import files, since_first
from scoring.analysis.arguments import number
from scoring.analysis.files import MOST_WEEKS, BadFile, Rfm
from scoring.analysis.model_file import PURCHASES, SPENDING, WITH_COMPLAINTS, Read, read
from scoring.models import clv, gamma_gamma, pareto_nbd
from scoring.models.arrays import Floats
from scoring.models.complaints import Schedules
from scoring.models.score import Customers, Model, odds, score

DESCRIPTION = """\
p_alive: the customer will still buy; p_no_purchase: one who will buys nothing within the horizon; churn:
nothing is bought within it, 1 − p_alive·(1 − p_no_purchase); expected_purchases: within it; clv: the
discounted margin on the purchases of the next 36 months, in the unit of mean_amount, empty where that is
unknown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    terms = clv.Terms()
    parser.description = DESCRIPTION
    parser.add_argument("--model", type=Path, required=True, help="JSON: a purchase model from `fit`")
    parser.add_argument("--input", type=Path, required=True, help="CSV: customer,x,t_x,T,mean_amount; weeks")
    parser.add_argument("--horizon", type=number(0, MOST_WEEKS, "weeks"), required=True, metavar="WEEKS")
    parser.add_argument("--output", type=Path, required=True, help="CSV: one row per customer")
    parser.add_argument(
        "--complaints",
        type=Path,
        help=f"CSV, for {WITH_COMPLAINTS}: customer,opened,resolved,outcome,severity",
    )
    parser.add_argument(
        "--spend",
        type=Path,
        help=f"JSON: a {SPENDING} model from `fit`; else the published one, scaled to these customers",
    )
    parser.add_argument(
        "--margin", type=number(0, 1, "a share"), default=terms.margin, help=f"default {terms.margin}"
    )
    parser.add_argument(
        "--yearly-discount",
        type=number(-1, 10, "a rate"),
        default=terms.yearly_discount,
        help=f"default {terms.yearly_discount}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the forecasts; 2 where the files do not go together."""
    model = read(arguments.model)
    spend = read(arguments.spend) if arguments.spend else None
    wrong = _mismatch(arguments, model, spend)
    if wrong:
        print(wrong, file=sys.stderr)
        return 2
    rfm = files.read_rfm(arguments.input)
    schedules = Schedules.none()
    if arguments.complaints:
        complaints = since_first.read(arguments.complaints, rfm)
        schedules = complaints.schedules
        for note in complaints.notes:
            print(note, file=sys.stderr)
    terms = clv.Terms(arguments.margin, arguments.yearly_discount)
    spending = _spending(arguments, spend, rfm)
    found = _forecast(model, rfm, schedules, arguments.horizon, spending, terms)
    files.write_csv(arguments.output, {"customer": rfm.labels, **found})
    return 0


def _mismatch(arguments: argparse.Namespace, model: Read, spend: Read | None) -> str | None:
    """Which of the files is not for this."""
    if model.name == SPENDING:
        return f"--model {arguments.model}: {SPENDING} foresees no purchases; give it as --spend"
    if spend is not None and spend.name != SPENDING:
        return f"--spend {arguments.spend}: is {spend.name}, not {SPENDING}"
    if model.name == WITH_COMPLAINTS and not arguments.complaints:
        return (
            f"--model {arguments.model} needs --complaints: a file with only its first line where nobody did"
        )
    if model.name != WITH_COMPLAINTS and arguments.complaints:
        return f"--complaints: {model.name} does not know what complaints do; fit {WITH_COMPLAINTS}"
    return None


def _forecast(
    model: Read,
    rfm: Rfm,
    schedules: Schedules,
    horizon: float,
    spending: gamma_gamma.Params | None,
    terms: clv.Terms,
) -> dict[str, Floats | None]:
    """The columns of the output; no lifetime value where the spending is unknown."""
    x, t_x, T = rfm.x, rfm.t_x, rfm.T
    mean_amount = np.zeros_like(x) if rfm.mean_amount is None else rfm.mean_amount
    if isinstance(model.params, pareto_nbd.Params):
        customers = Customers.of(x, t_x, T, mean_amount, schedules)
        parts = Model(model.params, model.gamma, spending or gamma_gamma.PUBLISHED, terms)
        known = odds(customers, parts, horizon)
        found = score(customers, parts, horizon, known)
        return {
            "p_alive": found.p_alive,
            "expected_purchases": found.expected_purchases,
            "p_no_purchase": known.silent,
            "churn": found.churn,
            "clv": None if spending is None else found.clv,
        }
    module, value = PURCHASES[model.name], None
    if spending is not None:
        discounted = module.discounted_purchases(model.params, x, t_x, T, *terms.schedule())
        value = clv.of_purchases(discounted, spending, terms, x, mean_amount)
    return {
        "p_alive": module.p_alive(model.params, x, t_x, T),
        "expected_purchases": module.expected_purchases(model.params, x, t_x, T, horizon),
        "p_no_purchase": module.p_no_purchase(model.params, x, T, horizon),
        "churn": module.churn(model.params, x, t_x, T, horizon),
        "clv": value,
    }


def _spending(arguments: argparse.Namespace, spend: Read | None, rfm: Rfm) -> gamma_gamma.Params | None:
    """The model of amounts; None where the amounts are unknown."""
    told = np.empty(0) if rfm.mean_amount is None else rfm.mean_amount[rfm.x > 0]
    told = told[told > 0]
    if spend is not None:
        if rfm.mean_amount is None:
            raise BadFile(f"{arguments.input}, line 1, column mean_amount: is missing, which --spend needs")
        params: gamma_gamma.Params = spend.params
        return params
    if not told.size:
        print("clv is empty: no mean_amount says what purchases are worth", file=sys.stderr)
        return None
    print(
        "clv by the published spending model, scaled to the median mean_amount; --spend takes a fitted one",
        file=sys.stderr,
    )
    return gamma_gamma.prior(told)
