"""Something about the past becomes known: it is told with what was said before and what is said now."""

from datetime import timedelta
from uuid import uuid4

import pytest

from scoring.bands.restating import restate
from shared.events.scoring import ScoreRestated
from tests.service.scoring.conftest import NOW, Scoring, cancelled, opened, placed

DAY = timedelta(days=1)


async def restated(scoring: Scoring) -> list[ScoreRestated]:
    await restate(scoring.db, scoring.clock, scoring.settings)
    return [event for event in await scoring.events() if isinstance(event, ScoreRestated)]


async def test_a_late_purchase_is_told_with_old_and_new(scoring: Scoring) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 100 * DAY, 1000), placed(who, NOW - 20 * DAY, 1000))
    await scoring.tell(placed(who, NOW - 60 * DAY, 5000))
    (told,) = await restated(scoring)
    assert (told.customer_id, told.before.purchases, told.after.purchases) == (who, 2, 3)
    assert told.before.value_minor is not None
    assert told.after.value_minor is not None
    assert told.after.value_minor > told.before.value_minor
    assert told.orders_seq == 3
    assert len(await restated(scoring)) == 1, "once"


async def test_several_late_facts_are_told_together(scoring: Scoring) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - DAY))
    for days in (50, 40, 30):
        await scoring.tell(placed(who, NOW - days * DAY))
    (told,) = await restated(scoring)
    assert (told.before.purchases, told.after.purchases) == (1, 4)


@pytest.mark.parametrize("news", ["purchase", "complaint", "cancellation"])
async def test_what_is_new_restates_nothing(scoring: Scoring, news: str) -> None:
    who = uuid4()
    first = placed(who, NOW - 30 * DAY)
    await scoring.tell(first, placed(who, NOW - 20 * DAY))
    await scoring.tell(
        {"purchase": placed(who, NOW), "complaint": opened(who, NOW), "cancellation": cancelled(first, NOW)}[
            news
        ]
    )
    assert await restated(scoring) == []


async def test_who_had_no_score_has_nothing_restated(scoring: Scoring) -> None:
    who = uuid4()
    await scoring.tell(opened(who, NOW - DAY), placed(who, NOW), placed(who, NOW - 9 * DAY))
    assert await restated(scoring) == []
