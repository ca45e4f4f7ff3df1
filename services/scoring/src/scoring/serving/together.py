"""Scores asked for at the same moment are read and computed together: a call costs more than a row.

To the last bit they are what each would be alone, so that every answer can be proven. Those who complained
are therefore scored one by one: which phases their complaints were in decides the steps of the reasons.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from scoring.care import store as models
from scoring.care.domain import Served
from scoring.serving import store
from scoring.serving.domain import Known, Scored, scores
from scoring.settings import ScoringSettings
from shared.bus.retry import is_transient
from shared.db import Database

MOST = 100
"""At once, so that nobody else waits long for the processor."""


class Question(NamedTuple):
    """What is asked of a customer; `with_intervals` None: where the model is prior-driven."""

    customer_id: UUID
    horizon_days: int
    with_intervals: bool | None
    now: datetime


class Answer(NamedTuple):
    """The score, what it is made of, and the instant it is of: the latest `now` of those scored together."""

    known: Known
    served: Served
    scored: Scored
    as_of: datetime


class Together:
    """Reads and scores in one go what was asked for while it was busy with those before."""

    def __init__(self, db: Database, settings: ScoringSettings) -> None:
        self._db = db
        self._settings = settings
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._busy: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer, of what is known from now on. NotFound where there is no such customer."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._busy is None or self._busy.done():
            self._busy = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            wanted = [(question, answer) for question, answer in batch if not answer.done()]
            found = await self._answers_or_problems([question for question, _ in wanted])
            for (_, answer), one in zip(wanted, found, strict=True):
                if answer.done():  # its reader has gone away
                    continue
                if isinstance(one, Answer):
                    answer.set_result(one)
                else:
                    answer.set_exception(one)

    async def _answers_or_problems(self, asked: Sequence[Question]) -> list[Answer | Exception]:
        if not asked:
            return []
        try:
            return await self._answers(asked)
        except Exception as problem:
            if len(asked) == 1 or is_transient(problem):
                return [problem for _ in asked]
        # Somebody cannot be scored, and is in nobody's way.
        return [one for question in asked for one in await self._answers_or_problems([question])]

    async def _answers(self, asked: Sequence[Question]) -> list[Answer | Exception]:
        async with self._db.read() as tx:
            known = await store.list_known(tx, {question.customer_id for question in asked})
            served = await models.served_with(tx, self._settings)
        now = max(question.now for question in asked)
        there = [question for question in asked if question.customer_id in known]
        scored = iter(
            score_alike(
                [(known[question.customer_id], question) for question in there],
                served, self._settings.churn_horizon_days, now,
            )
        )  # fmt: skip
        return [
            Answer(known[question.customer_id], served, next(scored), now)
            if question.customer_id in known
            else store.unknown(question.customer_id)
            for question in asked
        ]


def score_alike(
    asked: Sequence[tuple[Known, Question]], served: Served, band_days: int, now: datetime
) -> list[Scored]:
    """The scores of all, those of one kind together."""
    kinds = defaultdict(list)
    for place, (known, question) in enumerate(asked):
        alone = place if known.state.complaints else None
        sure = wants_intervals(served, question.with_intervals)
        kinds[question.horizon_days, sure, alone].append(place)
    found: dict[int, Scored] = {}
    for (horizon_days, sure, _), places in kinds.items():
        people = [asked[place][0] for place in places]
        scored = scores(people, served, horizon_days, band_days, now, with_intervals=sure)
        found.update(zip(places, scored, strict=True))
    return [found[place] for place in range(len(asked))]


def wants_intervals(served: Served, asked: bool | None) -> bool:
    """Where nobody says, those whom few data speak for are told how sure the figures are."""
    return served.prior_driven if asked is None else asked
