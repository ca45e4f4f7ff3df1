"""Closing what may not close."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


async def close_within(seconds: float, closing: Coroutine[Any, Any, None], what: str) -> None:
    """Let aiokafka's `stop` run: it may hang, fail, or end as cancelled when the broker is away.

    In a task of its own: that cancellation would otherwise end us, and nobody would notice.
    """
    task = asyncio.create_task(closing)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        log.warning("closed badly", what=what, problem=f"not done after {seconds} s")
    elif task.cancelled() or task.exception() is not None:
        problem = "cancelled" if task.cancelled() else repr(task.exception())
        log.warning("closed badly", what=what, problem=problem)
