"""Gaps are filled from their publisher, each for itself."""

import httpx
import msgspec
import pytest

from shared.bus import parking
from shared.bus.gaps import GapFiller, list_gaps, skip_gap
from shared.bus.inbox import Inbox
from shared.db import Database
from shared.errors import Conflict
from tests.service.bus.conftest import TOPIC, Ledger, ledger, record, take_in


def answer(thing: str, *seqs: int) -> httpx.Response:
    events = [record(thing, seq) for seq in seqs]
    items = [{"headers": e.headers, "data": msgspec.json.decode(e.value or b"")} for e in events]
    return httpx.Response(200, json={"items": items})


async def fill(db: Database, inbox: Inbox, answers: dict[str, httpx.Response]) -> int:
    publisher = httpx.MockTransport(lambda request: answers[request.url.params["key"]])
    async with httpx.AsyncClient(transport=publisher) as http:
        return await GapFiller(db, inbox, http, {"lab": "http://lab"}, patience_seconds=0).fill()


async def test_a_gap_is_filled_though_the_publisher_refuses_another(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    await take_in(db, inbox, *(record(thing, 3) for thing in "abc"))
    answers = {"a": httpx.Response(500), "b": answer("b", 1, 2, 3), "c": httpx.Response(500)}
    assert await fill(db, inbox, answers) == 3
    assert await ledger(db, "b") == [(1, 1), (2, 2), (3, 3)]
    assert await fill(db, inbox, {"a": answer("a", 1), "c": answer("c", 2, 3)}) == 1
    assert await fill(db, inbox, {"a": answer("a", 2, 3), "c": answer("c", 1, 2, 3)}) == 5
    assert await ledger(db, "a") == await ledger(db, "c") == [(1, 1), (2, 2), (3, 3)]


async def test_what_waits_for_a_person_is_not_asked_for(db: Database) -> None:
    inbox = Inbox(Ledger(fails_on={1}).handlers)
    await take_in(db, inbox, record("a", 3), record("a", 1))
    assert await fill(db, inbox, {}) == 0


async def test_a_gap_behind_a_parked_event_is_not_given_up_before_that_is_dealt_with(db: Database) -> None:
    """Else the parked one would be passed over as counted already, and nobody told."""
    failing = Ledger(fails_on={1})
    inbox = Inbox(failing.handlers)
    await take_in(db, inbox, record("a", 1), record("a", 3))
    async with db.tx() as tx:
        assert await list_gaps(tx) == []
    with pytest.raises(Conflict, match="first retry, edit or discard"):
        async with db.tx() as tx:
            await skip_gap(tx, inbox, TOPIC, "a", actor="ann", reason="never sent")
    failing.fails_on.clear()
    async with db.tx() as tx:
        ((parked,),) = await tx.fetch("SELECT id FROM parked_event WHERE state = 'parked'")
        await parking.retry(tx, inbox, parked, actor="ann", reason="repaired")
    async with db.tx() as tx:
        assert (
            await skip_gap(tx, inbox, TOPIC, "a", actor="ann", reason="never sent")
            == "sequence 2 to 2 never came"
        )
    assert await ledger(db, "a") == [(1, 1), (3, 3)]
