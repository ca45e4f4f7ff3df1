"""Which loyalty weights are valid, and what becomes of them when they are set."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scoring.models.loyalty import FIRST_WEIGHTS, INDICATORS, Weights


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Weights, since when they are valid, and who set them; neither is known of the first ones."""

    weights: Weights
    valid_from: datetime | None
    set_by: str | None

    @property
    def version(self) -> int:
        """The version that scores name."""
        return self.weights.version

    @property
    def by_indicator(self) -> dict[str, float]:
        """The weight of each indicator."""
        return {name: getattr(self.weights, name) for name in INDICATORS}


FIRST = SetWeights(FIRST_WEIGHTS, None, None)


def change(before: SetWeights, to: Mapping[str, float], *, by: str, at: datetime) -> SetWeights:
    """The next version, valid from now on; the same one where nothing changes. A clock that jumps back does
    not make it older than the one before."""
    if dict(to) == before.by_indicator:
        return before
    since = at if before.valid_from is None else max(at, before.valid_from)
    return SetWeights(Weights(before.version + 1, **to), since, by)
