"""The statements of the customer copy."""

from collections.abc import Iterable
from uuid import UUID

from orders.customers.domain import Customer
from shared.db import Tx

# Sorted by id, so that two writers never deadlock; an older version never replaces a newer one.
_SAVE = """
INSERT INTO customer (id, version, status, class_code, credit_limit_minor)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, status = excluded.status, class_code = excluded.class_code,
    credit_limit_minor = excluded.credit_limit_minor
WHERE customer.version < excluded.version
"""
_KNOWN = """
SELECT id, version, status, class_code, credit_limit_minor FROM customer WHERE id = ANY($1::uuid[])
"""


async def save(tx: Tx, customers: Iterable[Customer]) -> None:
    """Keep the newest version of each."""
    newest: dict[UUID, Customer] = {}
    for customer in sorted(customers, key=lambda c: (c.id, c.version)):
        newest[customer.id] = customer
    if newest:
        kept = list(newest.values())
        await tx.execute(
            _SAVE,
            [c.id for c in kept],
            [c.version for c in kept],
            [c.status for c in kept],
            [c.class_ for c in kept],
            [c.credit_limit_minor for c in kept],
        )


async def list_known(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, Customer]:
    """Those of the customers that are known here."""
    return {r["id"]: Customer(*r) for r in await tx.fetch(_KNOWN, list(ids))}
