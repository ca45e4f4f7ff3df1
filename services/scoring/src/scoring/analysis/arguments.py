"""Arguments of commands as values, refused with the rule they break."""

import argparse
import math
from collections.abc import Callable
from datetime import date

from scoring.models.complaint_effect import PRIOR_GAMMA, Gamma
from scoring.models.complaints import PHASES


def add_assumed_effect(parser: argparse.ArgumentParser) -> None:
    """What complaints are assumed to do where the data do not tell."""
    believed = PRIOR_GAMMA.of_leaving.tolist()
    parser.add_argument(
        "--assumed-effect", type=_change, nargs=len(PHASES), default=None,
        metavar=tuple(phase.upper() for phase in PHASES),
        help="what a major complaint is assumed to do to the hazard of leaving, in logarithms, where the"
        " data do not tell; a minor one does half of it, a critical one one and a half times as much;"
        f" default {' '.join(f'{value:g}' for value in believed)}",
    )  # fmt: skip


def assumed_effect(arguments: argparse.Namespace) -> Gamma:
    """The effect that was named, or the one of the documentation."""
    return Gamma(*arguments.assumed_effect) if arguments.assumed_effect else PRIOR_GAMMA


def _change(text: str) -> float:
    value = _float(text)
    if not -10 <= value <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -10 to 10")
    return value


def day(text: str) -> date:
    """A calendar day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 1997-09-30") from None


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """A number in (low, high]."""

    def read(text: str) -> float:
        value = _float(text)
        if not low < value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} above {low:g} and up to {high:,.0f}")
        return value

    return read


def _float(text: str) -> float:
    """NaN, which lies in no range, where it is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan
