"""The shadow: a schema with tables of the same names, which the consumer fills as it fills the live ones.

It is swapped in within one transaction. Live offsets stay as they are: what the shadow has counted beyond
them comes again, and the sequence gate passes over it.
"""

from typing import Any, NamedTuple, cast

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from scoring.facts.tables import ComplaintFact, CustomerFact, CustomerState, PurchaseFact
from shared.bus.tables import ConsumerOffset, HeldEvent, ParkedEvent, StreamProgress
from shared.db import Tx

SCHEMA = "rebuild"
LIVE_GROUP, SHADOW_GROUP = "scoring", "scoring.rebuild"


def _table(row: Any) -> Table:
    return cast(Table, row.__table__)


_FACTS = [_table(row) for row in (CustomerFact, PurchaseFact, ComplaintFact)]
_OF_CUSTOMERS = [*_FACTS, _table(CustomerState)]
_SWAPPED = [*_OF_CUSTOMERS, _table(StreamProgress)]
_BESIDE = [_table(row) for row in (ConsumerOffset, HeldEvent, ParkedEvent)]
_STORED = "SELECT 'WITH (' || array_to_string(reloptions, ', ') || ')' FROM pg_class WHERE oid = $1::regclass"

# A fact was known since scoring first counted it, not since it was counted again.
_AS_KNOWN = """
CREATE FUNCTION rebuild.{table}_as_known() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE live record;
BEGIN
    SELECT known_from, known_until INTO live FROM public.{table} l
    WHERE l.{key} = NEW.{key} AND l.version = NEW.version;
    IF FOUND THEN
        NEW.known_from := live.known_from;
        IF NEW.known_until IS NOT NULL THEN
            NEW.known_until := coalesce(live.known_until, NEW.known_until);
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER as_known BEFORE INSERT OR UPDATE ON rebuild.{table}
FOR EACH ROW EXECUTE FUNCTION rebuild.{table}_as_known();
"""
_PROGRESS = """
SELECT coalesce(sum(l.next_offset), 0)::bigint,
       coalesce(sum(least(coalesce(r.next_offset, 0), l.next_offset)), 0)::bigint
FROM public.consumer_offset l
LEFT JOIN rebuild.consumer_offset r ON r.topic = l.topic AND r.partition = l.partition
WHERE l.group_id = $1
"""
_LOCK_LIVE = """
SELECT next_offset FROM public.consumer_offset WHERE group_id = $1 ORDER BY topic, partition FOR UPDATE
"""
_LOCK_SHADOW = "SELECT next_offset FROM rebuild.consumer_offset ORDER BY topic, partition FOR UPDATE"
# The log alone does not say what a person decided of an event that could not be applied.
_KEPT = """
SELECT DISTINCT r.key::uuid FROM rebuild.stream_progress r JOIN public.stream_progress l USING (topic, key)
WHERE (r.parked OR r.held) AND l.last_seq > r.last_seq
  AND r.key ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
"""
# Who has moved on since is compared no more: the shadow is ahead of them.
_DIFFERENT = """
SELECT coalesce(l.customer_id, r.customer_id) AS customer_id
FROM public.customer_state l FULL JOIN rebuild.customer_state r ON r.customer_id = l.customer_id
WHERE l.state IS DISTINCT FROM r.state
  AND NOT EXISTS (
      SELECT FROM rebuild.stream_progress rp LEFT JOIN public.stream_progress lp USING (topic, key)
      WHERE rp.key = coalesce(l.customer_id, r.customer_id)::text
        AND rp.last_seq IS DISTINCT FROM lp.last_seq)
"""
# What the replay met out of order is not news; what was not told yet still is.
_AS_TOLD = """
UPDATE rebuild.customer_state r SET restated_from = l.restated_from
FROM public.customer_state l WHERE l.customer_id = r.customer_id
  AND (r.restated_from IS NOT NULL OR l.restated_from IS NOT NULL)
"""
_RESTATE = """
UPDATE rebuild.customer_state r SET restated_from = coalesce(r.restated_from, l.state)
FROM public.customer_state l WHERE l.customer_id = r.customer_id AND l.customer_id = ANY($1)
"""
# Whoever was scored with this state need not be again.
_AS_SCORED = """
UPDATE rebuild.customer_state r SET due_at = l.due_at, begins_band = l.begins_band
FROM public.customer_state l WHERE l.customer_id = r.customer_id AND l.state = r.state
  AND (l.due_at, l.begins_band) IS DISTINCT FROM (r.due_at, r.begins_band)
"""
_CLOSE_PARKED = """
UPDATE public.parked_event p
SET state = 'retried', closed_at = now(), actor = 'rebuild', reason = 'counted by a rebuild'
FROM rebuild.stream_progress r
WHERE r.topic = p.topic AND r.key = p.key AND NOT r.parked AND p.seq <= r.last_seq
  AND p.state IN ('parked', 'queued')
"""


class Found(NamedTuple):
    """What a rebuild found: customers, those whose state is another now, those kept as people left them."""

    customers: int
    different: int
    kept: int


async def create(tx: Tx) -> None:
    """Make the shadow, unless there is one already, of a rebuild that was interrupted."""
    if await tx.fetchval("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA):
        return
    await tx.execute(f"CREATE SCHEMA {SCHEMA}")
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in (*_SWAPPED, *_BESIDE):
        twin = table.to_metadata(MetaData(), schema=SCHEMA)
        stored = await tx.fetchval(_STORED, f"public.{table.name}") or ""
        await tx.execute(f"{CreateTable(twin).compile(dialect=dialect)} {stored}")
        for index in twin.indexes:
            await tx.execute(str(CreateIndex(index).compile(dialect=dialect)))
    for table in _FACTS:
        await tx.execute(_AS_KNOWN.format(table=table.name, key=next(iter(table.primary_key.columns)).name))


async def drop(tx: Tx) -> None:
    """Remove the shadow."""
    await tx.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


async def progress(tx: Tx) -> tuple[int, int]:
    """How many events the live side has counted, and how many of these the shadow has."""
    ((total, done),) = await tx.fetch(_PROGRESS, LIVE_GROUP)
    return total, done


async def take_over_timers(tx: Tx) -> None:
    """Leave those due as they are on the live side whose state is the same; the shadow waits meanwhile."""
    await tx.fetch(_LOCK_SHADOW)
    await tx.execute(_AS_SCORED)


async def hold_live(tx: Tx) -> None:
    """Let the live consumer wait where it is until this transaction ends."""
    await tx.fetch(_LOCK_LIVE, LIVE_GROUP)


async def swap(tx: Tx) -> Found:
    """Put the shadow in the place of the live tables; the live consumer waits, the shadow has caught up."""
    await take_over_timers(tx)
    kept = [r[0] for r in await tx.fetch(_KEPT)]
    if kept:
        await _keep(tx, kept)
    different = [r[0] for r in await tx.fetch(_DIFFERENT)]
    await tx.execute(_AS_TOLD)
    await tx.execute(_RESTATE, different)
    await tx.execute(_CLOSE_PARKED)
    for table in _FACTS:
        await tx.execute(f"DROP TRIGGER as_known ON rebuild.{table.name}")
    await tx.execute("CREATE SCHEMA retired")
    for table in _SWAPPED:
        await tx.execute(f"ALTER TABLE public.{table.name} SET SCHEMA retired")
        await tx.execute(f"ALTER TABLE rebuild.{table.name} SET SCHEMA public")
    customers = await tx.fetchval("SELECT count(*) FROM public.customer_state")
    await tx.execute("DROP SCHEMA retired CASCADE")
    await drop(tx)
    return Found(customers, len(different), len(kept))


async def _keep(tx: Tx, customers: list[Any]) -> None:
    for table in _OF_CUSTOMERS:
        columns = ", ".join(column.name for column in table.columns)
        await tx.execute(f"DELETE FROM rebuild.{table.name} WHERE customer_id = ANY($1)", customers)
        await tx.execute(
            f"INSERT INTO rebuild.{table.name} ({columns})"
            f" SELECT {columns} FROM public.{table.name} WHERE customer_id = ANY($1)",
            customers,
        )
    keys = [str(customer) for customer in customers]
    await tx.execute("DELETE FROM rebuild.stream_progress WHERE key = ANY($1)", keys)
    await tx.execute(
        "INSERT INTO rebuild.stream_progress (topic, key, last_seq, parked, held)"
        " SELECT topic, key, last_seq, parked, held FROM public.stream_progress WHERE key = ANY($1)",
        keys,
    )
