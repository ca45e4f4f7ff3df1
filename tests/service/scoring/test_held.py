"""A gap in a customer's stream: what follows waits, until it is filled or a person gives it up."""

import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from datetime import timedelta
from uuid import uuid4

import pytest

from shared.bus.gaps import list_gaps
from shared.testing.http import web_environment
from tests.service.scoring.conftest import NOW, Scoring, placed

DAY = timedelta(days=1)


async def test_a_gap_holds_what_follows_until_it_is_filled_or_a_person_gives_it_up(
    scoring: Scoring,
) -> None:
    who = uuid4()
    first, _lost, last = scoring.incoming(*[placed(who, NOW - days * DAY) for days in (3, 2, 1)])
    await scoring.take_in([first, last])
    counted = "SELECT count(*) FROM purchase_fact WHERE customer_id = $1"
    assert await scoring.value(counted, who) == 1
    async with scoring.db.read() as tx:
        (gap,) = await list_gaps(tx)
    assert gap[:5] == ("patron.orders", str(who), 1, 3, 1)
    told = await command(scoring, "held", "skip", "patron.orders", str(who), "--reason", "sent to nobody")
    assert told.strip() == "sequence 2 to 2 never came"
    assert await scoring.value(counted, who) == 2
    kept = await scoring.value("SELECT error || ', ' || reason FROM parked_event WHERE key = $1", str(who))
    assert kept == "sequence 2 to 2 never came, sent to nobody"
    await scoring.tell(placed(who, NOW))
    assert await scoring.value(counted, who) == 3


async def test_what_a_fault_of_ours_has_parked_is_retried_by_one_command(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = uuid4(), uuid4()
    with monkeypatch.context() as faulty:
        faulty.setattr(scoring, "settings", scoring.settings.model_copy(update={"currency": "EUR"}))
        await scoring.tell(placed(first, NOW - DAY), placed(second, NOW - DAY), placed(second, NOW))
    counted = "SELECT count(*) FROM purchase_fact"
    assert await scoring.value(counted) == 0
    told = await command(scoring, "parked", "retry", "--all", "--reason", "the currency is USD")
    assert told.strip() == "2 retried, 0 of them still parked"
    assert await scoring.value(counted) == 3
    assert await scoring.states_are_their_facts()


async def command(scoring: Scoring, *words: str) -> str:
    """What the service's command line prints."""
    environment = os.environ | web_environment() | {
        "DATABASE_URL": scoring.settings.database_url, "KAFKA_BOOTSTRAP_SERVERS": "unused:9092"
    }  # fmt: skip
    process = await create_subprocess_exec(
        sys.executable, "-m", "scoring", *words, env=environment, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()
