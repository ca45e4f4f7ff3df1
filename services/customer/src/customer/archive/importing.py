"""Customers in bulk: JSON Lines or CSV, by the rules of single requests."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request

from customer.archive import domain, store
from customer.archive.schemas import ImportCustomer
from customer.archive.tables import Customer
from customer.settings import Deployment
from shared.bus.outbox import emit
from shared.db import Tx, new_id
from shared.errors import Conflict, FieldError, Invalid, Refused
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.imports import ImportView, Outcome, Row, described, import_rows
from shared.web.routing import Router

router = Router(prefix="/v1/imports", tags=["imports"])

Importer = Annotated[Caller, Needs("customers:import")]

_LISTS = ("phones", "emails", "tags")
_NESTED = ("addresses", "contacts")

Stated = dict[str, Any]


@router.post("/customers", openapi_extra=described(ImportCustomer))
async def import_customers(
    request: Request, caller: Importer, db: Db, clock: Time, deployment: Deployment
) -> ImportView:
    """Open many files. A row with an `id` may come again: the same content changes nothing.

    In CSV, phones, emails and tags are separated by semicolons; addresses and contacts are JSON.
    """

    def read(body: ImportCustomer) -> Stated | Refused:
        try:
            return domain.tidy(body.stated(deployment.currency), deployment.default_region)
        except Refused as refused:
            return refused

    async def save(rows: Sequence[Row[ImportCustomer]]) -> Sequence[Outcome]:
        read_rows = [(row.value.id or new_id(), read(row.value)) for row in rows]
        async with db.tx() as tx:
            return await _save(tx, read_rows, caller.id, clock.now())

    return await import_rows(request, ImportCustomer, save, fold_cells)


def fold_cells(cells: dict[str, str]) -> dict[str, object]:
    """A CSV row's cells as fields: lists are separated by semicolons, what is nested is JSON."""
    fields: dict[str, object] = {**cells}
    for name in _LISTS:
        if name in cells:
            fields[name] = [part.strip() for part in cells[name].split(";") if part.strip()]
    for name in _NESTED:
        if name in cells:
            try:
                fields[name] = json.loads(cells[name])
            except (ValueError, RecursionError):
                raise Invalid(
                    f"The cell {name} is not JSON.",
                    errors=[FieldError(name, "must be a JSON list of objects", cells[name])],
                ) from None
    return fields


async def _save(
    tx: Tx, rows: Sequence[tuple[UUID, Stated | Refused]], actor: str, at: datetime
) -> list[Outcome]:
    good = [(id_, stated) for id_, stated in rows if not isinstance(stated, Refused)]
    files = await store.find_all(tx, [id_ for id_, _ in good])
    numbers = [stated["number"] for _, stated in good if "number" in stated]
    taken = await store.find_taken(tx, numbers)
    without_number = sum("number" not in stated and id_ not in files for id_, stated in good)
    free = iter(await store.take_numbers(tx, without_number, but_not=numbers))
    fresh: dict[UUID, Customer] = {}

    def decide(id_: UUID, stated: Stated | Refused) -> Outcome:
        if isinstance(stated, Refused):
            return stated
        if id_ in files:
            return "unchanged" if domain.says(files[id_], stated) else domain.other_content(id_)
        number = stated.get("number") or next(free)
        if number in taken:
            return domain.number_taken(number)
        try:
            files[id_] = fresh[id_] = domain.create(stated, id_=id_, number=number, actor=actor, at=at)
        except Refused as refused:
            return refused
        taken.add(number)
        return "created"

    outcomes = [decide(id_, stated) for id_, stated in rows]
    added = await store.insert(tx, fresh.values())
    await emit(tx, *(domain.created(customer) for id_, customer in fresh.items() if id_ in added), at=at)
    return [
        _overtaken(id_) if outcome == "created" and id_ not in added else outcome
        for (id_, _), outcome in zip(rows, outcomes, strict=True)
    ]


def _overtaken(id_: UUID) -> Conflict:
    return Conflict(
        f"Another request has just taken the id or number of the customer {id_}; import this row again.",
        errors=[FieldError("id", "its id or number was taken by another request meanwhile", str(id_))],
    )
