"""Scores asked for at the same moment are computed together: a call of numpy costs more than a row.

To the last bit they are what each would be alone, so that every answer can be proven. Those who complained
are therefore scored one by one: which phases their complaints were in decides the steps of the reasons.
"""

import asyncio
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from scoring.care.domain import Served
from scoring.serving.domain import Known, Scored, scores


class Asked(NamedTuple):
    """What one reader wants to know."""

    known: Known
    served: Served
    horizon_days: int
    with_intervals: bool
    now: datetime

    @property
    def kind(self) -> tuple[object, ...]:
        """What those who are scored together have in common."""
        state, served = self.known.state, self.served
        alone = self.known.customer_id if state.exposure or state.recent else None
        return served.version, served.loyalty_weights.version, self.horizon_days, self.with_intervals, alone


class Together:
    """Computes in one go what came in since the event loop was last here."""

    def __init__(self, band_days: int) -> None:
        self._band_days = band_days
        self._waiting: list[tuple[Asked, asyncio.Future[tuple[Scored, datetime]]]] = []

    async def score(self, asked: Asked) -> tuple[Scored, datetime]:
        """The score, and the instant it is of: the latest `now` of those scored together."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._score_all)
        answer: asyncio.Future[tuple[Scored, datetime]] = loop.create_future()
        self._waiting.append((asked, answer))
        return await answer

    def _score_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        alike = defaultdict(list)
        for asked, answer in waiting:
            if not answer.done():  # nobody waits any more for one that is
                alike[asked.kind].append((asked, answer))
        for group in alike.values():
            one, now = group[0][0], max(asked.now for asked, _ in group)
            try:
                found = scores(
                    [asked.known for asked, _ in group],
                    one.served, one.horizon_days, self._band_days, now, with_intervals=one.with_intervals,
                )  # fmt: skip
            except Exception as problem:
                for _, answer in group:
                    answer.set_exception(problem)
            else:
                for (_, answer), scored in zip(group, found, strict=True):
                    answer.set_result((scored, now))
