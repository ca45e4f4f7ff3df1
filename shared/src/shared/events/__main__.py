"""`python -m shared.events check|write`, in the checkout's root: the committed contracts against the code."""

import sys
from pathlib import Path

from shared.events.contracts import broken_against, documents


def main(action: str, directory: Path) -> int:
    """Compare, or write; a breaking change is refused either way."""
    wanted = documents()
    broken = broken_against(directory)
    for what in broken:
        print(f"breaking: {what}. Publish a v2 class beside it instead.", file=sys.stderr)
    if broken:
        return 1
    stale = [p for p, text in wanted.items() if not _same(directory / p, text)]
    if action == "write":
        for path in stale:
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(wanted[path])
        print(f"{len(stale)} of {len(wanted)} contract files written")
        return 0
    for path in stale:
        print(f"{directory / path} is not what the code declares; run: make contracts", file=sys.stderr)
    return 1 if stale else 0


def _same(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("check", "write"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], Path("docs/events")))
