"""Help for tests of services: a clock that stands still, and a caller of some role."""

from shared.testing.clock import FixedClock

__all__ = ["FixedClock"]
