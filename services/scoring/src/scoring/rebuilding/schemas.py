"""Shapes of rebuilds in answers."""

from datetime import datetime
from uuid import UUID

from scoring.rebuilding.tables import Phase, RebuildRun
from shared.web.fields import View


class RebuildView(View):
    """A rebuild: how far it is; and when it is done, how many customers' states are others than before
    (`different`), and how many were kept because a person had decided of their events (`kept`)."""

    id: UUID
    asked_by: str
    asked_at: datetime
    phase: Phase
    events_total: int
    events_done: int
    events_per_second: int
    customers: int | None
    different: int | None
    kept: int | None
    problem: str | None
    finished_at: datetime | None

    @classmethod
    def of(cls, run: RebuildRun) -> "RebuildView":
        """The view of a rebuild."""
        return cls(**run.model_dump())


class RebuildsView(View):
    """The last rebuilds, the newest first."""

    items: list[RebuildView]
