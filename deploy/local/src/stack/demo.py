"""The demonstration: real purchases go in over HTTP, complaints are played, and scores move, with reasons."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.web.tokens import mint
from stack import cdnow
from stack.supervisor import Running
from stack.trouble import Trouble

JSON_LINES = {"Content-Type": "application/x-ndjson"}
SAMPLE = 10  # every tenth customer is asked for, to see how far scoring has come


@dataclass(frozen=True)
class Patron:
    """The four services as a manager of the demonstration reaches them."""

    customer: httpx.AsyncClient
    orders: httpx.AsyncClient
    desk: httpx.AsyncClient
    scoring: httpx.AsyncClient


async def main(running: Running) -> None:
    """Load once, play once, show; a later run shows what the data have become."""
    _say_what_to_try(running, (await play(running))[0])


async def play(running: Running) -> list[str]:
    """All of it but what to try next; answers the customers it was played with."""
    memory = Memory(running.keys.parent / "demo.json")
    rows = cdnow.purchases()
    cast = cdnow.regulars(rows, 5)
    async with _patron(running) as patron:
        if not memory.done:
            await _load(patron, rows, memory.ends, running.console)
            before = await _scores(patron, cast)
            await _play(patron, cast, running.console)
            running.console.print(_table(cast, before, await _scores(patron, cast)))
            memory.finish()
        else:
            running.console.print(f"the data of the run of {memory.ends} are kept; make clean removes them")
            now = await _scores(patron, cast)
            running.console.print(_table(cast, now, now))
    return cast


class Memory:
    """What is remembered between runs, so that an interrupted one goes on with the same dates."""

    def __init__(self, file: Path) -> None:
        self._file = file
        kept = json.loads(file.read_text()) if file.exists() else {}
        self.ends = date.fromisoformat(kept["ends"]) if kept else datetime.now(UTC).date()
        self.done = bool(kept.get("done"))
        self._write()

    def finish(self) -> None:
        """Loaded and played."""
        self.done = True
        self._write()

    def _write(self) -> None:
        self._file.write_text(json.dumps({"ends": self.ends.isoformat(), "done": self.done}))


@asynccontextmanager
async def _patron(running: Running) -> AsyncIterator[Patron]:
    headers = {"Authorization": f"Bearer {mint(running.keys, role='manager', sub='demonstration')}"}
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=running.urls[name], headers=headers, timeout=120)
            )
            for name in ("customer", "orders", "service-desk", "scoring")
        ]
        yield Patron(*clients)


async def _load(patron: Patron, rows: list[cdnow.Purchase], ends: date, console: Console) -> None:
    people = list(dict.fromkeys(row.customer for row in rows))
    product = {"sku": cdnow.SKU, "name": "Compact disc", "category": "music", "list_price_minor": 1499}
    await _import(patron.orders, "products", [json.dumps(product).encode() + b"\n"], Progress(disable=True))
    with _bars(console) as bars:
        await _import(patron.customer, "customers", list(cdnow.customer_rows(rows)), bars)
        await _import(patron.orders, "orders", list(cdnow.order_rows(rows, ends)), bars)
        await _until_counted(patron, people[::SAMPLE], rows, bars)
    console.print("fitting the purchase model to these customers …", style="dim")
    console.print(_model_line(await _fit(patron)), highlight=False)


async def _fit(patron: Patron) -> dict[str, Any]:
    """A fit of all that was loaded; one that the schedule began in the midst of loading is waited out."""
    while True:
        answer = await patron.scoring.post("/v1/models/fit")
        if answer.status_code != httpx.codes.CONFLICT:
            _expect(answer, 201)
            fitted: dict[str, Any] = answer.json()
            return fitted
        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


async def _import(service: httpx.AsyncClient, what: str, rows: list[bytes], bars: Progress) -> None:
    bar = bars.add_task(f"importing {what}", total=len(rows))

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(rows), 100):
            yield b"".join(rows[start : start + 100])
            bars.update(bar, completed=min(start + 100, len(rows)))

    answer = await service.post(f"/v1/imports/{what}", content=body(), headers=JSON_LINES)
    _expect(answer, 200)
    done = answer.json()
    if done["rejected"]:
        raise Trouble(f"{done['rejected']} of {done['rows']} {what} were refused: {done['errors'][:3]}")


async def _until_counted(
    patron: Patron, people: list[str], rows: list[cdnow.Purchase], bars: Progress
) -> None:
    """Wait until every purchase of these customers has come through Kafka into scoring."""
    bar = bars.add_task("counted by scoring", total=len(people))
    for person in people:
        wanted = 2 * sum(row.customer == person for row in rows)  # each was placed, and completed
        while await _counted(patron, person) < wanted:  # noqa: ASYNC110  (it happens in another process)
            await asyncio.sleep(0.1)
        bars.advance(bar)


async def _counted(patron: Patron, person: str) -> int:
    answer = await patron.scoring.get(f"/v1/scores/{cdnow.customer_id(person)}")
    return int(answer.json()["progress"]["orders"]) if answer.status_code == 200 else 0


async def _play(patron: Patron, cast: list[str], console: Console) -> None:
    """What happens to the cast, live: each step over HTTP, each seen by scoring before the next."""
    open_, recovered, mishandled, buyer, cancelled = cast
    ago = datetime.now(UTC) - timedelta(days=14)
    steps = [
        f"{open_} complains, and waits",
        f"{recovered} complained two weeks ago; a good recovery today",
        f"{mishandled} complained two weeks ago; mishandled today",
        f"{buyer} buys again",
        f"{cancelled} buys, and cancels",
    ]
    for step in steps:
        console.print(f"  · {step}", highlight=False)
    await _ticket(patron, open_, datetime.now(UTC))
    for person, outcome in ((recovered, "recovered"), (mishandled, "mishandled")):
        ticket = await _ticket(patron, person, ago)
        await _told(
            patron, await patron.desk.post(f"/v1/tickets/{ticket}/resolve", json={"outcome": outcome})
        )
    await _order(patron, buyer)
    order = await _order(patron, cancelled)
    await _told(patron, await patron.orders.post(f"/v1/orders/{order}/cancel", json={}))


async def _ticket(patron: Patron, person: str, opened_at: datetime) -> str:
    body = {
        "customer_id": str(cdnow.customer_id(person)),
        "kind": "complaint",
        "severity": "critical",
        "subject": "The disc arrived broken",
        "opened_at": opened_at.isoformat(),
    }
    return await _told(patron, await patron.desk.post("/v1/tickets", json=body))


async def _order(patron: Patron, person: str) -> str:
    products = await patron.orders.get("/v1/products", params={"sku": cdnow.SKU})
    _expect(products, 200)
    body = {
        "customer_id": str(cdnow.customer_id(person)),
        "lines": [{"product_id": products.json()["items"][0]["id"], "quantity": 3}],
        "channel": "web",
    }
    return await _told(patron, await patron.orders.post("/v1/orders", json=body))


async def _told(patron: Patron, answer: httpx.Response) -> str:
    """A write's id, once scoring has counted it."""
    _expect(answer, 200, 201)
    written = answer.json()
    seen = await patron.scoring.get(
        f"/v1/scores/{written['customer_id']}",
        headers={"Sync-Token": answer.headers["Sync-Token"], "Prefer": "wait=20"},
    )
    _expect(seen, 200)
    return str(written["id"])


async def _scores(patron: Patron, cast: Iterable[str]) -> list[dict[str, Any]]:
    answers = [await patron.scoring.get(f"/v1/scores/{cdnow.customer_id(person)}") for person in cast]
    for answer in answers:
        _expect(answer, 200)
    return [answer.json() for answer in answers]


def _table(cast: list[str], before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Table:
    table = Table(title="The same customers before and after", show_lines=True)
    for name in ("customer", "loyalty", "churn in 90 days", "value", "what moves the risk most"):
        table.add_column(
            name, justify="left" if name in ("customer", "what moves the risk most") else "right"
        )
    for person, then, now in zip(cast, before, after, strict=True):
        table.add_row(
            f"CDNOW-{person}",
            _moved(then["loyalty"]["index"], now["loyalty"]["index"], "{:.0f}"),
            _moved(100 * then["churn"]["probability"], 100 * now["churn"]["probability"], "{:.1f} %")
            + f"\n{now['churn']['band']}",
            _moved(then["value_minor"] / 100, now["value_minor"] / 100, "{:.2f}"),
            "\n".join(f"{r['contribution']:+.2f}  {r['text']}" for r in _strongest(now["reasons"])),
        )
    return table


def _moved(then: float, now: float, form: str) -> str:
    before, after = form.format(then), form.format(now)
    return after if before == after else f"{before} → {after}"


def _strongest(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told = [reason for reason in reasons if reason["code"] != "base" and abs(reason["contribution"]) >= 0.005]
    return sorted(told, key=lambda reason: -abs(reason["contribution"]))[:3]


def _model_line(model: dict[str, Any]) -> str:
    parameters = ", ".join(f"{name} {value:.3f}" for name, value in model["parameters"]["purchase"].items())
    return f"model {model['version']}: {parameters}"


def _expect(answer: httpx.Response, *status: int) -> None:
    if answer.status_code not in status:
        raise Trouble(
            f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text[:500]}"
        )


def _say_what_to_try(running: Running, person: str) -> None:
    say = running.console.print
    for name, url in running.urls.items():
        say(f"{name:<13} {url}/docs", style="bold", highlight=False)
    token = mint(running.keys, role="manager")
    customer = cdnow.customer_id(person)
    scores = f"{running.urls['scoring']}/v1/scores"
    ticket = f'{{"customer_id":"{customer}","kind":"complaint","severity":"major","subject":"Too late"}}'
    lines = (
        f"TOKEN={token}",
        f'curl -s -H "Authorization: Bearer $TOKEN" {scores}/{customer}',
        f'curl -s -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" '
        f"-d '{ticket}' {running.urls['service-desk']}/v1/tickets",
        f'curl -s -H "Authorization: Bearer $TOKEN" "{scores}?band=critical&sort=-value"',
    )
    say(
        "\nTo try (the token is a manager's, for twelve hours; make token ROLE=… mints others):\n",
        style="dim",
    )
    for line in lines:
        print(line)
    say("\nCtrl-C stops everything; the data stay. make clean removes them.", style="dim")
