"""What complaints do to a customer, and what they tell of one: numbers believed or estimated."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import Floats
from .complaints import PHASES


@dataclass(frozen=True, slots=True)
class Gamma:
    """By how much, in logarithms, each phase of a complaint of weight 1, a major one, changes the hazard of
    leaving.

    `open`, `mishandled` and `recovered` are γ. The other fields are what is estimated along with it, so that
    it is right; as given here they say nothing. `coming_…` is how complaints come (`complaint_signs`): a, b,
    ρ, φ and l; at ρ = 1 they say nothing of life. `closing_rate` is θ, 0 where a closing says nothing of it.
    """

    open: float
    mishandled: float
    recovered: float
    coming_shape: float = 1.0
    coming_rate: float = 1.0
    coming_after_death: float = 1.0
    coming_per_purchase: float = 0.0
    coming_lag: float = 1.0
    closing_rate: float = 0.0

    @property
    def of_leaving(self) -> Floats:
        """γ by phase."""
        return np.array([self.open, self.mishandled, self.recovered])

    @property
    def tells_of_life(self) -> bool:
        """Whether complaints are signs of life."""
        return self.coming_after_death < 1 or self.closing_rate > 0


def named(of_complaints: Mapping[str, float]) -> dict[str, float]:
    """What goes by the fields of `Gamma`, by the names it has outside: γ of a phase is `gamma_…`."""
    return {(f"gamma_{name}" if name in PHASES else name): value for name, value in of_complaints.items()}


NO_EFFECT = Gamma(0.0, 0.0, 0.0)
PRIOR_GAMMA = Gamma(open=1.5, mishandled=2.0, recovered=0.3)
"""Believed until there are data: an open major complaint makes leaving 4.5 times as likely per week,
a mishandled one 7.4 times, so that most such customers are lost within the window; a good recovery takes
nearly all of it back (1.3 times), but makes nobody better than before."""
