"""Parked events: retried, edited or discarded by somebody, with a reason, in order."""

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData

from shared.bus import parking
from shared.bus.inbox import Inbox
from shared.bus.reading import Delivery, Incoming
from shared.bus.tables import ParkedEvent
from shared.cli import _retry_all
from shared.db import Database, Tx
from shared.errors import Conflict, NotFound
from shared.service import Service
from shared.settings import ServiceSettings
from tests.service.bus.conftest import Counted, Ledger, count, ledger, record, take_in


@pytest.fixture
async def stuck(db: Database) -> tuple[Ledger, Inbox, int]:
    """Key `a`: 1 applied, 2 parked, 3 and 4 queued."""
    failing = Ledger(fails_on={66})
    inbox = Inbox(failing.handlers)
    await take_in(db, inbox, record("a", 1), record("a", 2, 66), record("a", 3), record("a", 4))
    async with db.read() as connection:
        parked = await connection.fetchval("SELECT id FROM parked_event WHERE state = 'parked'")
    return failing, inbox, parked


async def test_a_retry_applies_it_and_all_that_waited_in_order(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    failing, inbox, parked = stuck
    failing.fails_on.clear()
    async with db.tx() as tx:
        assert await parking.retry(tx, inbox, parked, actor="ann", reason="repaired") == []
    await take_in(db, inbox, record("a", 5))
    assert await ledger(db, "a") == [(1, 1), (2, 66), (3, 3), (4, 4), (5, 5)]
    async with db.read() as connection:
        closed = await parking.get(connection, parked)
    assert (closed.state, closed.actor, closed.reason) == ("retried", "ann", "repaired")


async def test_whatever_is_parked_is_retried_at_once_and_what_fails_again_stays(db: Database) -> None:
    failing = Ledger(fails_on={66, 77})
    inbox = Inbox(failing.handlers)
    await take_in(db, inbox, record("a", 1, 66), record("a", 2), record("b", 1, 77), record("c", 1, 66))
    failing.fails_on.remove(66)
    found = [one async for one in parking.retry_all(db, inbox, actor="ann", reason="repaired")]
    assert [[(p.key, p.seq) for p in one.left] for one in found] == [[], [("b", 1)], []]
    assert await ledger(db, "a") == [(1, 66), (2, 2)]
    assert await ledger(db, "c") == [(1, 66)]
    failing.fails_on.clear()
    found = [one async for one in parking.retry_all(db, inbox, actor="ann", reason="repaired")]
    assert [(one.left, one.problem) for one in found] == [([], None)]
    assert [one async for one in parking.retry_all(db, inbox, actor="ann", reason="repaired")] == []


async def test_retrying_all_passes_over_what_is_locked_and_counts_what_stays_parked(
    db: Database, bus_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failing, noise = Ledger(fails_on={66}), record("d", 1)
    noise.headers = {}
    await take_in(db, Inbox(failing.handlers), record("a", 1, 66), record("b", 1, 66), noise)

    async def locked_for_a(tx: Tx, deliveries: Sequence[Delivery[Counted]]) -> None:
        if any(delivery.key == "a" for delivery in deliveries):
            raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")
        await Ledger().count(tx, deliveries)

    settings = ServiceSettings.model_construct(database_url=bus_url)
    lab = Service("lab", "Lab", lambda: settings, MetaData(), [], lambda _: {Counted: locked_for_a})
    capsys.readouterr()
    assert await asyncio.to_thread(_retry_all, lab, settings, "ann", "repaired") == 1
    no_event, locked, told = capsys.readouterr().out.splitlines()
    assert no_event.startswith("still parked: 1\tnot an event")
    assert locked.startswith("still parked: 2\tnot possible just now, retry it again: LockNotAvailableError")
    assert told == "3 retried, 2 of them still parked"
    assert await ledger(db, "b") == [(1, 66)]


async def test_a_retry_that_fails_again_leaves_it_parked(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    async with db.tx() as tx:
        left = await parking.retry(tx, inbox, parked, actor="ann", reason="hope")
    assert [(p.seq, p.state) for p in left] == [(2, "parked"), (3, "queued"), (4, "queued")]
    assert await ledger(db, "a") == [(1, 1)]


async def test_discarding_goes_on_without_it(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    async with db.tx() as tx:
        assert await parking.discard(tx, inbox, parked, actor="ann", reason="never happened") == []
    assert await ledger(db, "a") == [(1, 1), (3, 3), (4, 4)]


async def test_editing_applies_the_new_value_and_keeps_the_old_on_record(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    async with db.tx() as tx:
        event = await parking.get(tx, parked)
        left = await parking.edit(
            tx,
            inbox,
            parked,
            headers=event.headers,
            value=b'{"thing":"a","amount":7}',
            actor="ann",
            reason="typo",
        )
    assert left == []
    assert await ledger(db, "a") == [(1, 1), (2, 7), (3, 3), (4, 4)]
    async with db.read() as connection:
        assert b"66" in ((await parking.get(connection, parked)).value or b"")


async def test_an_edit_that_is_still_no_event_changes_nothing(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    with pytest.raises(Conflict, match="still cannot be applied"):
        async with db.tx() as tx:
            event = await parking.get(tx, parked)
            await parking.edit(
                tx, inbox, parked, headers=event.headers, value=b"{}", actor="ann", reason="oops"
            )
    assert await count(db, "parked_event WHERE state IN ('parked', 'queued')") == 3


@pytest.mark.parametrize("header", [{"ce_partitionkey": "b"}, {"ce_sequence": "9"}])
async def test_an_edited_event_keeps_its_place(db: Database, stuck, header) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    thing = header.get("ce_partitionkey", "a")
    with pytest.raises(Conflict, match="keeps its place"):
        async with db.tx() as tx:
            headers = (await parking.get(tx, parked)).headers | header
            value = f'{{"thing":"{thing}","amount":7}}'.encode()
            await parking.edit(tx, inbox, parked, headers=headers, value=value, actor="ann", reason="typo")


async def test_what_is_no_event_becomes_one_by_editing(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    noise, meant = record("a", 1), record("a", 1)
    noise.headers = {"hello": "world"}
    await take_in(db, inbox, noise)
    async with db.tx() as tx:
        (parked,) = await parking.list_parked(tx)
        await parking.edit(
            tx, inbox, parked.id, headers=meant.headers, value=meant.value or b"", actor="ann", reason="lost"
        )
    assert await ledger(db, "a") == [(1, 1)]
    assert await count(db, "parked_event WHERE state IN ('parked', 'queued')") == 0


async def test_what_waits_behind_another_is_not_discarded_before_it(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    with pytest.raises(Conflict, match=f"behind {parked}"):
        async with db.tx() as tx:
            queued = (await parking.list_parked(tx))[1]
            await parking.discard(tx, inbox, queued.id, actor="ann", reason="not this one")


async def test_what_is_still_no_event_stays_parked_as_it_is_and_is_counted(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    noise = record("a", 1)
    noise.headers = {}
    await take_in(db, inbox, noise, record("b", 1))
    async with db.tx() as tx:
        (parked,) = await parking.list_parked(tx)
        assert await parking.retry(tx, inbox, parked.id, actor="ann", reason="hope") == [parked]
    found = [one async for one in parking.retry_all(db, inbox, actor="ann", reason="hope")]
    assert found == [(parked.id, [parked], None)]
    assert await count(db, "parked_event") == 1


async def test_what_has_become_an_event_is_retried_by_one_at_a_time(db: Database) -> None:
    failing = Ledger(fails_on={66})
    inbox = Inbox(failing.handlers)
    async with db.tx() as tx:
        await inbox.take_in(tx, [record("a", 1, 66)])  # not read: as if its headers said nothing then
        (parked,) = await parking.list_parked(tx)
    assert parked.key is None

    async def again() -> list[ParkedEvent]:
        async with db.tx() as tx:
            return await parking.retry(tx, inbox, parked.id, actor="ann", reason="it is read now")

    outcomes = await asyncio.gather(again(), again(), return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    (left,) = [outcome for outcome in outcomes if isinstance(outcome, list)]
    assert [(p.key, p.seq, p.state) for p in left] == [("a", 1, "parked")]


async def test_what_is_closed_cannot_be_retried(db: Database, stuck) -> None:  # type: ignore[no-untyped-def]
    _, inbox, parked = stuck
    async with db.tx() as tx:
        await parking.discard(tx, inbox, parked, actor="ann", reason="gone")
    with pytest.raises(Conflict, match="discarded"):
        async with db.tx() as tx:
            await parking.retry(tx, inbox, parked, actor="ann", reason="again")
    with pytest.raises(NotFound):
        async with db.tx() as tx:
            await parking.retry(tx, inbox, 10**9, actor="ann", reason="which")


async def test_a_forged_event_does_not_displace_the_true_one(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    forged, genuine = record("a", 1), record("a", 1)
    forged.value = b"garbage"
    await take_in(db, inbox, forged)
    await take_in(db, inbox, genuine, record("a", 2))
    async with db.tx() as tx:
        parked = await parking.list_parked(tx, key="a")
        assert await parking.discard(tx, inbox, parked[0].id, actor="ann", reason="forged") == []
    assert await ledger(db, "a") == [(1, 1), (2, 2)]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), events=st.integers(1, 10), cuts=st.integers(1, 6))
async def test_whatever_fails_or_is_spoilt_all_counts_once_and_in_order_in_the_end(
    db: Database, seed: int, events: int, cuts: int
) -> None:
    chance = random.Random(seed)
    thing = f"t{seed}-{events}-{cuts}-{chance.random()}"
    failing = Ledger(fails_on=set(chance.choices(range(1, events + 1), k=2)))
    inbox = Inbox(failing.handlers)
    coming = [record(thing, seq) for seq in range(1, events + 1)]
    good = {event.seq: event.value or b"" for event in map(inbox.read, coming)}
    for event in chance.choices(coming, k=2):
        event.value = b"spoilt"
    coming += chance.choices(coming, k=events)
    chance.shuffle(coming)
    size = -(-len(coming) // cuts)
    for start in range(0, len(coming), size):
        batch = [Incoming(e.topic, e.headers, e.value) for e in coming[start : start + size]]
        await take_in(db, inbox, *batch)
        await _deal_with(db, inbox, chance, thing, good if chance.random() < 0.3 else {})
    failing.fails_on.clear()
    while await _deal_with(db, inbox, chance, thing, good):
        pass
    assert await ledger(db, thing) == [(seq, seq) for seq in range(1, events + 1)]
    assert await count(db, f"held_event WHERE key = '{thing}'") == 0


async def _deal_with(
    db: Database, inbox: Inbox, chance: random.Random, thing: str, good: dict[int | None, bytes]
) -> bool:
    """Somebody retries one of the waiting events, or edits it where it is spoilt; false when none waits."""
    async with db.tx() as tx:
        waiting = await parking.list_parked(tx, key=thing)
        if not waiting:
            return False
        one = chance.choice(waiting)
        if one.value == b"spoilt" and one.seq in good:
            await parking.edit(
                tx, inbox, one.id, headers=one.headers, value=good[one.seq], actor="ann", reason="spoilt"
            )
        else:
            await parking.retry(tx, inbox, one.id, actor="ann", reason="hope")
    return True
