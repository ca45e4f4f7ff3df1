"""Arguments of commands as values, refused with the rule they break."""

import argparse
import math
from collections.abc import Callable
from datetime import date


def day(text: str) -> date:
    """A calendar day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 1997-09-30") from None


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """A number in (low, high]."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low < value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} above {low:g} and up to {high:,.0f}")
        return value

    return read
