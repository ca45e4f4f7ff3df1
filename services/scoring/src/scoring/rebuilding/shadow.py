"""The shadow: a schema with tables like the live ones, which a consumer of its own fills as theirs does.

Its tables are unlogged: a crash of PostgreSQL empties them all, its place in the log too, so that the replay
begins anew.
"""

from typing import Any, cast

from sqlalchemy import Table

from scoring.facts.tables import ComplaintFact, CustomerFact, CustomerState, PurchaseFact
from shared.bus.tables import ConsumerOffset, HeldEvent, ParkedEvent, StreamProgress
from shared.db import Tx

SCHEMA = "rebuild"
LIVE_GROUP, SHADOW_GROUP = "scoring", "scoring.rebuild"


def _table(row: Any) -> Table:
    return cast(Table, row.__table__)


FACTS = [_table(row) for row in (CustomerFact, PurchaseFact, ComplaintFact)]
_OTHERS = [_table(row) for row in (CustomerState, StreamProgress, ConsumerOffset, HeldEvent, ParkedEvent)]
_TABLES = [table.name for table in (*FACTS, *_OTHERS)]

_STORED = "SELECT 'WITH (' || array_to_string(reloptions, ', ') || ')' FROM pg_class WHERE oid = $1::regclass"
_OTHERWISE = """
WITH shape AS (
    SELECT relnamespace, relname, attname, format_type(atttypid, atttypmod) AS type, attnotnull
    FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    WHERE relname = ANY($1)
), live AS (
    SELECT relname, attname, type, attnotnull FROM shape WHERE relnamespace = 'public'::regnamespace
), beside AS (
    SELECT relname, attname, type, attnotnull FROM shape WHERE relnamespace = to_regnamespace($2)
)
SELECT EXISTS ((TABLE live EXCEPT TABLE beside) UNION ALL (TABLE beside EXCEPT TABLE live))
"""
_PROGRESS = """
SELECT coalesce(sum(l.next_offset), 0)::bigint,
       coalesce(sum(least(coalesce(r.next_offset, 0), l.next_offset)), 0)::bigint
FROM public.consumer_offset l
LEFT JOIN rebuild.consumer_offset r ON r.topic = l.topic AND r.partition = l.partition
WHERE l.group_id = $1
"""
# Whole, since a partition claimed only now has no row to hold yet.
_HOLD_LIVE = "LOCK TABLE public.consumer_offset IN EXCLUSIVE MODE"
_HOLD_SHADOW = "LOCK TABLE rebuild.consumer_offset IN EXCLUSIVE MODE"


async def create(tx: Tx, *, anew: bool) -> None:
    """Make the shadow; or, but for `anew`, go on with one of a rebuild that was interrupted, if the live
    tables are still the same as then."""
    if not anew and not await tx.fetchval(_OTHERWISE, _TABLES, SCHEMA):
        return
    await drop(tx)
    await tx.execute(f"CREATE SCHEMA {SCHEMA}")
    for table in _TABLES:
        stored = await tx.fetchval(_STORED, f"public.{table}") or ""
        await tx.execute(
            f"CREATE UNLOGGED TABLE {SCHEMA}.{table} (LIKE public.{table}"
            f" INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES) {stored}"
        )


async def is_there(tx: Tx) -> bool:
    """Whether there is a shadow, of a rebuild that goes on or of one that was given up."""
    return bool(await tx.fetchval("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA))


async def drop(tx: Tx) -> None:
    """Remove the shadow."""
    await tx.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


async def progress(tx: Tx) -> tuple[int, int]:
    """How many events the live side has counted, and how many of these the shadow has."""
    ((total, done),) = await tx.fetch(_PROGRESS, LIVE_GROUP)
    return total, done


async def hold_live(tx: Tx) -> None:
    """Let the live consumer wait where it is until this transaction ends."""
    await tx.execute(_HOLD_LIVE)


async def hold(tx: Tx) -> None:
    """Let the shadow's consumer wait where it is until this transaction ends."""
    await tx.execute(_HOLD_SHADOW)
