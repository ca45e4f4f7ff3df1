"""The sequence gate: once, in order, and nothing lost, whatever comes."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.bus.inbox import Inbox
from shared.db import Database
from tests.service.bus.conftest import Counted, Ledger, Renamed, count, ledger, record, take_in


async def test_an_event_that_comes_twice_counts_once(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    await take_in(db, inbox, record("a", 1), record("a", 1))
    await take_in(db, inbox, record("a", 1), record("a", 2))
    assert await ledger(db, "a") == [(1, 1), (2, 2)]


async def test_an_early_event_waits_for_its_predecessor(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    await take_in(db, inbox, record("a", 3), record("a", 1))
    assert await ledger(db, "a") == [(1, 1)]
    assert await count(db, "held_event") == 1
    await take_in(db, inbox, record("a", 2))
    assert await ledger(db, "a") == [(1, 1), (2, 2), (3, 3)]
    assert await count(db, "held_event") == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), events=st.integers(1, 12), cuts=st.integers(1, 5))
async def test_any_order_repetition_and_batching_gives_the_same_ledger(
    db: Database, seed: int, events: int, cuts: int
) -> None:
    chance = random.Random(seed)
    thing = f"t{seed}-{events}-{cuts}-{chance.random()}"
    inbox = Inbox(Ledger().handlers)
    coming = [record(thing, seq) for seq in range(1, events + 1)]
    coming += chance.choices(coming, k=events)
    chance.shuffle(coming)
    size = -(-len(coming) // cuts)
    for start in range(0, len(coming), size):
        await take_in(db, inbox, *coming[start : start + size])
    assert await ledger(db, thing) == [(seq, seq) for seq in range(1, events + 1)]
    assert await count(db, f"held_event WHERE key = '{thing}'") == 0


async def test_events_nobody_here_wants_only_move_the_sequence_on(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    await take_in(db, inbox, record("a", 1), record("a", 2, event=Renamed(thing="a")), record("a", 3))
    assert await ledger(db, "a") == [(1, 1), (3, 3)]


async def test_a_failing_event_stops_its_key_alone_and_its_followers_queue(db: Database) -> None:
    failing = Ledger(fails_on={66})
    inbox = Inbox(failing.handlers)
    fourth = record("a", 4)
    await take_in(
        db, inbox,
        record("a", 1), record("b", 1), record("a", 2, 66), record("a", 3, event=Renamed(thing="a")),
        record("b", 2), fourth,
    )  # fmt: skip
    await take_in(db, inbox, record("a", 5), fourth)
    assert await ledger(db, "a") == [(1, 1)]
    assert await ledger(db, "b") == [(1, 1), (2, 2)]
    async with db.read() as connection:
        rows = await connection.fetch("SELECT seq, state FROM parked_event ORDER BY seq")
    assert [(r["seq"], r["state"]) for r in rows] == [
        (2, "parked"),
        (3, "queued"),
        (4, "queued"),
        (5, "queued"),
    ]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda r: setattr(r, "value", b"{"), "truncated"),
        (lambda r: setattr(r, "value", b'{"thing": "a", "amount": "x"}'), "amount"),
        (lambda r: r.headers.update(ce_type="lab.counted.v9"), "version"),
        (lambda r: setattr(r, "value", b'{"thing": "other", "amount": 1}'), "envelope"),
        (lambda r: setattr(r, "value", b'{"thing": "\\u0000", "amount": 1}'), "envelope"),
        (lambda r: setattr(r, "value", b'{"x": ' + b"[" * 100_000), "recursion"),
    ],
)
async def test_an_invalid_event_is_parked_as_it_came_and_its_key_waits(db: Database, spoil, says) -> None:  # type: ignore[no-untyped-def]
    inbox = Inbox(Ledger().handlers)
    bad = record("a", 1)
    spoil(bad)
    await take_in(db, inbox, bad, record("a", 2), record("b", 1))
    assert await ledger(db, "a") == []
    assert await ledger(db, "b") == [(1, 1)]
    async with db.read() as connection:
        parked = await connection.fetchrow("SELECT * FROM parked_event WHERE state = 'parked'")
    assert parked is not None
    assert says in parked["error"]
    assert parked["value"] == bad.value


async def test_a_record_that_is_no_event_is_parked_and_stops_no_key(db: Database) -> None:
    inbox = Inbox(Ledger().handlers)
    noise = record("a", 1)
    noise.headers = {"hello": "world"}
    await take_in(db, inbox, noise, record("a", 1))
    assert await ledger(db, "a") == [(1, 1)]
    assert await count(db, "parked_event WHERE key IS NULL AND error LIKE '%ce_partitionkey%'") == 1


async def test_a_whole_batch_reaches_the_handler_at_once(db: Database) -> None:
    kept = Ledger()
    await take_in(db, Inbox(kept.handlers), *(record(t, s) for s in (1, 2) for t in "abc"))
    assert kept.batches == [6]


async def test_a_declared_event_knows_its_key() -> None:
    assert Counted(thing="a", amount=1).key == "a"
