"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

from shared.clock import Clock


class FixedClock(Clock):
    """Always shows `at`, which a test may set."""

    def __init__(self, at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        """The instant the test chose."""
        return self.at

    def advance(self, by: timedelta) -> None:
        """Move on."""
        self.at += by
