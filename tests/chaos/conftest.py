"""The system that a file of tests harms: its own, whole, with two workers of each service."""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.system import System, running
from tests.service.bus.conftest import bus_url, db, lab

__all__ = ["bus_url", "db", "lab", "system"]  # the event path alone, for what needs no more


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Everything, started; stopped when the file's tests are done."""
    directory = tmp_path_factory.mktemp("chaos").resolve()
    async with running(directory, workers=2) as found:
        yield found
