"""`python -m scoring.verify`: is every customer's state what their facts add up to, byte for byte?

Reads DATABASE_URL. Prints counts; exits with 1 when a state differs. Safe beside a running service: each
customer's facts and state are compared as of one instant.
"""

import os
import sys
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from scoring.facts import store
from scoring.facts.domain import decode, encode, summarize
from shared.cli import on_database
from shared.db import Database


@dataclass(slots=True)
class Verdict:
    """What was compared, and who differs."""

    customers: int = 0
    facts: int = 0
    different: list[UUID] = field(default_factory=list)


async def verify(db: Database) -> Verdict:
    """Recompute every state from its facts and compare."""
    verdict = Verdict()
    after = UUID(int=0)
    while True:
        async with db.snapshot() as tx:  # within one, facts and states belong together
            stored = await store.list_states(tx, after, 1000)
            facts = await store.list_facts(tx, stored)
            lost = [] if stored else await store.list_lost(tx)
        if not stored:
            verdict.different += lost
            print(*(f"{customer_id} has facts and no state" for customer_id in lost), sep="\n", end="")
            return verdict
        for customer_id, state in stored.items():
            verdict.customers += 1
            verdict.facts += len(facts[customer_id])
            rebuilt = encode(summarize(facts[customer_id]))
            if rebuilt != state:
                verdict.different.append(customer_id)
                print(f"{customer_id} is    {_text(state)}\n{' ' * 36} not {_text(rebuilt)}")
            after = customer_id


def _text(state: bytes) -> str:
    try:
        return msgspec.json.encode(msgspec.structs.asdict(decode(state))).decode()
    except msgspec.DecodeError as problem:
        return f"unreadable ({problem}): {state.hex()}"


async def _verify(db: Database) -> int:
    verdict = await verify(db)
    print(f"{verdict.customers} customers, {verdict.facts} facts, {len(verdict.different)} states differ")
    return 1 if verdict.different else 0


def main() -> int:
    """Verify the database that DATABASE_URL names."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        print("DATABASE_URL: the scoring service's database is not named", file=sys.stderr)
        return 2
    return on_database(url, _verify)


if __name__ == "__main__":
    sys.exit(main())
