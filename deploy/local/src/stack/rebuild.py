"""`make rebuild`: asks the running scoring service to build all of scoring again, and shows how far it is."""

import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import stack
from shared.web.tokens import mint
from stack.trouble import Trouble

LOOK_EVERY_SECONDS = 0.5


def main(directory: Path, url: str, console: Console) -> int:
    """Ask, wait until it is done, and say what was found; going away does not stop it."""
    headers = {"Authorization": f"Bearer {mint(stack.keys_of(directory), role='administrator')}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=10) as http:
            run = http.post("/v1/rebuilds").raise_for_status().json()
            found = _watch(http, str(run["id"]), console)
    except httpx.TransportError as problem:
        raise Trouble(
            f"Scoring at {url} does not answer ({problem}). Start Patron first, with make run or make up, in"
            " another terminal; a rebuild that has begun goes on."
        ) from problem
    if found["phase"] != "done":
        raise Trouble(str(found["problem"]))
    console.print(
        f"{found['events_total']:,} events counted again: {found['customers']:,} customers,"
        f" {found['different']:,} of them now other than before, {found['kept']:,} kept as people left them.",
        highlight=False,
    )
    return 0


def _watch(http: httpx.Client, run_id: str, console: Console) -> dict[str, Any]:
    bar = Progress(
        TextColumn("rebuilding"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,} events/s"), TimeRemainingColumn(), console=console,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", rate=0)
        while True:
            run: dict[str, Any] = http.get(f"/v1/rebuilds/{run_id}").raise_for_status().json()
            bar.update(
                task, total=run["events_total"] or None, completed=run["events_done"],
                rate=run["events_per_second"],
            )  # fmt: skip
            if run["phase"] not in ("waiting", "replaying"):
                return run
            time.sleep(LOOK_EVERY_SECONDS)
