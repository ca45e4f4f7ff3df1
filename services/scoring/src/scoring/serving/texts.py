"""Sentences about a customer, with the customer's own figures, in the languages there are texts in.

The texts are data: `texts.<language>.toml`. What is said is the same in every language; the words, the units
and their plurals, the dates are the language's own.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

LANGUAGES = ("en", "zh-Hans")
"""As tags of BCP 47; the first one is spoken to those who wish for none."""

_DIGITS = {
    0: ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
        "XAF", "XOF", "XPF"),
    3: ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
    4: ("CLF", "UYW"),
}  # fmt: skip
"""Decimal digits of the currencies that do not have two (ISO 4217)."""


_BETWEEN_WORDS = re.compile("(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
"""Chinese sets a figure off by a space; where the figure is told in words, the space has to go."""


class Said(NamedTuple):
    """A sentence, by its name in the texts, and the figures in it."""

    text: str
    figures: Mapping[str, Any] = {}


class Money(NamedTuple):
    """An amount in minor units, which need not be whole, of a currency."""

    minor: float
    currency: str


class _Part(NamedTuple):
    """Words, and the placeholder after them, if there is one."""

    words: str
    name: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class _Language:
    texts: Mapping[str, list[_Part]]
    units: Mapping[str, Mapping[str, str]]
    day: str
    months: list[str]

    @classmethod
    def read(cls, tag: str) -> "_Language":
        found = tomllib.loads(Path(__file__).with_name(f"texts.{tag}.toml").read_text("utf-8"))
        day, months, units = found.pop("date"), found.pop("months", []), found.pop("units")
        texts = {
            f"{part}.{name}": _parts(text) for part, each in found.items() for name, text in each.items()
        }
        return cls(texts, units, day, months)

    def say(self, said: Said) -> str:
        shown = "".join(
            part.words if part.name is None else part.words + self._show(said.figures[part.name], part.kind)
            for part in self.texts[said.text]
        )
        return _BETWEEN_WORDS.sub("", shown)

    def _show(self, figure: Any, kind: str) -> str:
        match kind:
            case "number":
                return _number(figure)
            case "percent":
                return _percent(figure)
            case "money":
                return _money(figure)
            case "date":
                return self._date(figure)
            case unit:
                number, forms = _number(figure), self.units[unit]
                form = forms.get({"0": "zero", "1": "one"}.get(number, "other"), forms["other"])
                return form.replace("#", number)

    def _date(self, day: date) -> str:
        name = self.months[day.month - 1] if self.months else ""
        return self.day.format(day=day.day, month=day.month, month_name=name, year=day.year)


def say(said: Said, language: str) -> str:
    """The sentence in one of `LANGUAGES`."""
    return _SPOKEN[language].say(said)


def _parts(text: str) -> list[_Part]:
    return [_Part(words, name, kind or "") for words, name, kind, _ in Formatter().parse(text)]


def _number(figure: float) -> str:
    """With a decimal digit only below 10, and none that is 0: 2.5, 63, 1,204."""
    shown = f"{figure:,.1f}" if abs(figure) < 9.95 else f"{figure:,.0f}"
    return shown.removesuffix(".0")


def _percent(share: float) -> str:
    """With a decimal digit, or as many as it takes (up to five) not to call nearly all or nothing so."""
    for digits in range(1, 6):
        shown = f"{100 * share:.{digits}f}"
        if share in (0, 1) or float(shown) not in (0, 100):
            break
    return f"{shown.rstrip('0').rstrip('.')}%"


def _money(amount: Money) -> str:
    digits = next((n for n, currencies in _DIGITS.items() if amount.currency in currencies), 2)
    minor = round(amount.minor)
    whole, rest = divmod(minor, 10**digits)
    return f"{amount.currency} {whole:,}" + (f".{rest:0{digits}}" if digits else "")


_SPOKEN = {tag: _Language.read(tag) for tag in LANGUAGES}
