"""The copy of the customers in the database."""

from collections.abc import Iterable
from uuid import UUID

from shared.db import Tx
from shared.events.customer import CustomerState

# Sorted, so that writers of several customers never deadlock; of several versions the latest wins.
_SAVE = """
INSERT INTO customer (id, version, status, level)
SELECT DISTINCT ON (id) id, version, status, level
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS c (id, version, status, level)
ORDER BY id, version DESC
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, status = excluded.status, level = excluded.level
WHERE customer.version < excluded.version
"""
_KNOWN = "SELECT id FROM customer WHERE id = ANY($1::uuid[])"


async def save(tx: Tx, customers: Iterable[CustomerState]) -> None:
    """Keep what is newer than our copy."""
    states = list(customers)
    if states:
        await tx.execute(
            _SAVE,
            [state.id for state in states],
            [state.version for state in states],
            [state.status for state in states],
            [state.level for state in states],
        )


async def list_known(tx: Tx, customer_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the customers whose copy we have."""
    return {record["id"] for record in await tx.fetch(_KNOWN, list(customer_ids))}
