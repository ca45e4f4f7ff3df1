"""The time, as something handed over, so that rules and tests never ask the machine."""

from datetime import UTC, datetime


class Clock:
    """The machine's clock, always in UTC."""

    def now(self) -> datetime:
        """This instant, aware, in UTC."""
        return datetime.now(UTC)
