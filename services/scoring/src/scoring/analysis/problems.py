"""What is wrong with a file, told all at once."""

from dataclasses import dataclass, field
from pathlib import Path

_SHOWN = 20
_LONGEST = 60  # characters of a value that a message repeats


class BadFile(Exception):
    """A file breaks its rules; the message has a line for each of the first 20 problems."""


@dataclass(slots=True)
class Problems:
    """What is wrong with a file so far."""

    path: Path
    shown: list[tuple[int, str]] = field(default_factory=list)
    more: int = 0

    def add(self, line: int, column: str | None, rule: str, value: str | None = None) -> None:
        """One more; `column` and `value` None where it is about the whole line."""
        if len(self.shown) >= _SHOWN:
            self.more += 1
            return
        where = f"{self.path}, line {line}" + (f", column {column}" if column else "")
        said = "" if value is None else f"{_quoted(value)}: "
        self.shown.append((line, f"{where}: {said}{rule}"))

    def raise_any(self) -> None:
        """BadFile if there are any, in the order of the file."""
        if self.shown:
            told = [text for _, text in sorted(self.shown, key=lambda problem: problem[0])]
            raise BadFile("\n".join([*told, f"and {self.more} more"] if self.more else told))


def _quoted(value: str) -> str:
    cut = value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
    return f'"{cut}"' if cut.isprintable() else repr(cut)
