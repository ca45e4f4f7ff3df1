"""Ways to break the event path from within, each at one seam.

`python -m tests.chaos.sabotage <point> <package> <command …>` runs a service that freezes once at the point.
The guards are switched off by context managers, for tests within one process.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import asyncpg

from shared.bus import consumer, inbox, outbox, relay
from shared.bus.consumer import Consumer
from shared.bus.inbox import Inbox
from shared.bus.reading import Incoming
from shared.bus.relay import Relay
from shared.db import Tx
from shared.events.event import Event

_frozen = False


def freeze_once() -> None:
    """Stop this process where it stands, the first time; somebody else lets it go on."""
    global _frozen
    if not _frozen:
        _frozen = True
        os.kill(os.getpid(), signal.SIGSTOP)


def _freezing_before(owner: Any, name: str) -> Callable[[], None]:
    original = getattr(owner, name)

    async def frozen(*arguments: Any) -> Any:
        freeze_once()
        return await original(*arguments)

    return lambda: setattr(owner, name, frozen)


def _freezing_after(owner: Any, name: str) -> Callable[[], None]:
    original = getattr(owner, name)

    async def frozen(*arguments: Any) -> Any:
        found = await original(*arguments)
        freeze_once()
        return found

    return lambda: setattr(owner, name, frozen)


POINTS: Mapping[str, Callable[[], None]] = {
    "before-compare-and-set": _freezing_before(Consumer, "compare_and_set"),
    "after-compare-and-set": _freezing_after(Consumer, "compare_and_set"),
    "after-commit": _freezing_before(Consumer, "_tell_kafka"),
    "before-send": _freezing_before(relay, "_send_stream"),
    "after-send": _freezing_before(Relay, "mark_sent"),
}


@contextmanager
def gate_open_for_early_events() -> Iterator[None]:
    """The sequence gate lets events pass before their predecessors."""
    with patch.object(inbox, "is_next", lambda _seq, _last_seq: True):
        yield


@contextmanager
def gate_open_for_repetitions() -> Iterator[None]:
    """The sequence gate forgets what was applied: whatever comes is applied."""

    async def apply_all(self: Inbox, tx: Tx, incomings: Sequence[Incoming]) -> None:
        await self._apply(tx, incomings, await inbox._find_progress(tx, incomings))

    with patch.object(Inbox, "take_in", apply_all):
        yield


@contextmanager
def compare_and_set_off() -> Iterator[None]:
    """Offsets are set, by whoever comes, whatever they were."""
    text = consumer._COMPARE_AND_SET.replace("AND o.epoch = n.epoch AND o.next_offset = n.expected", "")
    assert text != consumer._COMPARE_AND_SET
    with patch.object(consumer, "_COMPARE_AND_SET", text):
        yield


@contextmanager
def lease_off() -> Iterator[None]:
    """Every relay takes itself for the one that sends, and marks what it sent."""

    async def hold(_self: Relay) -> bool:
        return True

    async def mark(_self: Relay, tx: Tx, ids: Sequence[int]) -> None:
        await tx.execute("DELETE FROM outbox_unsent WHERE id = ANY($1::bigint[])", ids)

    with patch.object(Relay, "hold_lease", hold), patch.object(Relay, "mark_sent", mark):
        yield


@contextmanager
def outbox_apart(emitting: Any, url: str) -> Iterator[None]:
    """Events are published in a transaction of their own by this module, not with what they tell of."""

    async def emit_apart(_tx: Tx, *events: Event, **how: Any) -> list[outbox.Emitted]:
        connection = await asyncpg.connect(url)
        try:
            return await outbox.emit(connection, *events, **how)
        finally:
            await connection.close()

    with patch.object(emitting, "emit", emit_apart):
        yield


if __name__ == "__main__":
    _, point, package, *rest = sys.argv
    POINTS[point]()
    sys.argv = [package, *rest]
    runpy.run_module(package, run_name="__main__", alter_sys=True)
