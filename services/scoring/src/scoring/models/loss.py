"""What losing a customer costs, those included whom they take along: the sum of Mrs Smith.

    own    = spend per week · weeks per year · years           50·52·10 = 26,000
    others = told · heeding share · (1 + retold to) · leaving share    10·½·(1+5)·¼ = 7.5
    total  = own · (1 + others)                                26,000·8.5 = 221,000; told 20: 416,000

An unhappy customer tells so many; a share of them takes it to heart, and each of these tells so many more;
of all these a share stops buying, each of whom would have spent as much. (The supermarket customer in the
teaching of customer loss.)
"""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, slots=True)
class Rumour:
    """How bad word spreads. Mrs Smith's figures unless told otherwise."""

    told: float = 10
    heeding_share: float = 0.5
    retold_to: float = 5
    leaving_share: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            most = 1.0 if field.name.endswith("_share") else np.inf
            if not (np.isfinite(value) and 0 <= value <= most):
                raise ValueError(f"{field.name} is {value}, not between 0 and {most}")

    @property
    def others(self) -> float:
        """How many others stop buying."""
        return self.told * self.heeding_share * (1 + self.retold_to) * self.leaving_share


def own_loss(spend_per_week: float, weeks_per_year: float, years: float) -> float:
    """What the customer would have spent, in the unit of the spend."""
    for name, value in (
        ("spend_per_week", spend_per_week),
        ("weeks_per_year", weeks_per_year),
        ("years", years),
    ):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}, not a number from 0 up")
    return spend_per_week * weeks_per_year * years


def total_loss(own: float, rumour: Rumour) -> float:
    """What they and the others would have spent: own · (1 + others)."""
    return own * (1 + rumour.others)
