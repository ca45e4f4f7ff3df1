"""The demonstration's data: real purchases of 2,357 customers, moved so that they end today."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid5

DATA = Path(__file__).parents[2] / "data" / "cdnow_sample.csv"
SPACE = UUID("8f0b6b0e-5a53-4c0e-9d0a-6c6d6e6f7700")
"""Ids are made from the file's own, so that importing it again changes nothing."""
SKU = "CDNOW-CD"


class Purchase(NamedTuple):
    """A row of the file: who bought when, how many discs, for how many cents."""

    customer: str
    day: date
    units: int
    cents: int


def purchases() -> list[Purchase]:
    """The file's rows, in its order."""
    with DATA.open(newline="") as file:
        return [
            Purchase(
                r["customer"],
                date.fromisoformat(r["date"]),
                int(r["units"]),
                round(float(r["amount_usd"]) * 100),
            )
            for r in csv.DictReader(file)
        ]


def customer_id(customer: str) -> UUID:
    """The id in Patron of a customer of the file."""
    return uuid5(SPACE, customer)


def customer_rows(rows: list[Purchase]) -> Iterator[bytes]:
    """Every customer once, as JSON Lines for the import."""
    for customer in dict.fromkeys(row.customer for row in rows):
        yield _line(
            id=str(customer_id(customer)),
            number=f"CDNOW-{customer}",
            type="person",
            name=f"CDNOW customer {customer}",
            source="cdnow",
        )


def order_rows(rows: list[Purchase], ends: date) -> Iterator[bytes]:
    """Every purchase as an order, the last one on the day `ends`."""
    shift = ends - max(row.day for row in rows)
    times: Counter[tuple[str, date]] = Counter()
    for row in rows:
        times[row.customer, row.day] += 1
        yield _line(
            id=str(uuid5(SPACE, f"{row.customer}/{row.day}/{times[row.customer, row.day]}")),
            customer_id=str(customer_id(row.customer)),
            channel="web",
            status="completed",
            ordered_at=datetime.combine(row.day + shift, datetime.min.time(), UTC).isoformat(),
            sku=SKU,
            quantity=row.units,
            amount_minor=row.cents,
        )


def regulars(rows: list[Purchase], many: int) -> list[str]:
    """Customers with a lively history who have been silent for some weeks: their risk can go either way."""
    end = max(row.day for row in rows)
    days: dict[str, set[date]] = defaultdict(set)
    for row in rows:
        days[row.customer].add(row.day)
    silent = timedelta(days=45), timedelta(days=80)
    lively = [c for c, d in days.items() if len(d) >= 5 and silent[0] <= end - max(d) <= silent[1]]
    return sorted(lively, key=lambda c: (-len(days[c]), c))[:many]


def _line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"
