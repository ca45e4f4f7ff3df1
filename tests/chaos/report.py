"""What a run of chaos was: the table in the end."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.chaos.faults import Fault
from tests.chaos.writers import Record

console = Console(width=110)


def tell(fault: Fault) -> None:
    """A line as a fault begins."""
    at = time.strftime("%H:%M:%S")
    console.print(f"{at}  {fault.kind:<17} {fault.target:<22} {fault.seconds:5.1f} s", highlight=False)


def recoveries(faults: Sequence[Fault], record: Record, arrivals: Sequence[float]) -> dict[str, list[float]]:
    """By kind of fault: seconds from its repair to the first success of what it had hit.

    Of an API: an answer; of a worker or Kafka: an event taken in by scoring; of PostgreSQL: both.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        service, _, role = fault.target.partition(".")
        answered = [at for at, by in record.answered if role != "api" or by == service]
        signals = [answered] if role == "api" else [arrivals]
        if fault.target == "postgres":
            signals = [answered, arrivals]
        firsts = [next((at for at in signal if at > fault.repaired_at), None) for signal in signals]
        if None not in firsts:
            found[fault.kind].append(max(at for at in firsts if at is not None) - fault.repaired_at)
    return found


def table(
    faults: Sequence[Fault], record: Record, arrivals: Sequence[float], totals: Mapping[str, object]
) -> None:
    """Faults by kind with their recovery times, then the totals."""
    kinds = Table("fault", "times", "recovery: median", "longest", title="Chaos")
    recovered = recoveries(faults, record, arrivals)
    for kind in sorted({fault.kind for fault in faults}):
        times = recovered.get(kind, [])
        shown = (f"{median(times):.2f} s", f"{max(times):.2f} s") if times else ("-", "-")
        kinds.add_row(kind, str(sum(fault.kind == kind for fault in faults)), *shown)
    kinds.columns[1].justify = kinds.columns[2].justify = kinds.columns[3].justify = "right"
    sums = Table("total", "", show_header=False)
    for name, value in totals.items():
        sums.add_row(name, str(value))
    console.print(kinds)
    console.print(sums)
