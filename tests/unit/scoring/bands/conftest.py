"""What tests of bands share."""

import pytest

from scoring.bands import looks


@pytest.fixture
def only_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a band is noticeable, so that nobody is looked at for anything else."""
    for name in ("CHANCE", "SHARE", "LEAST_VALUE", "POINTS"):
        monkeypatch.setattr(looks, name, 1e12)
