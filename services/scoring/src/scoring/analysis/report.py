"""A page that a manager can read: verdict, figures, charts and tables, in one file that needs no network.

(Imports what draws, which takes two seconds: import it only where a page is made.)
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal, NamedTuple

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from scoring.analysis import charts
from scoring.models.backtest import Cut
from scoring.models.diagnostics import Diagnostics

Tone = Literal["good", "attention", "bad"]
_PAGES = Environment(
    loader=PackageLoader("scoring.analysis", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


class Figure(NamedTuple):
    """A number that stands out, and what it means."""

    label: str
    value: str
    note: str = ""


class Chart(NamedTuple):
    """A drawing, and what it says."""

    title: str
    caption: str
    drawing: Markup


class Table(NamedTuple):
    """Rows under a head; the first column names the row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


class Section(NamedTuple):
    """A heading with what belongs to it."""

    heading: str
    text: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


class Page(NamedTuple):
    """The whole report. The verdict's first sentence is its headline."""

    title: str
    subtitle: str
    tone: Tone
    verdict: Sequence[str]
    figures: Sequence[Figure]
    sections: Sequence[Section]


def html(page: Page) -> str:
    """The page as one HTML file."""
    return _PAGES.get_template("report.html.j2").render(page=page)


def pictures(found: Diagnostics, past: Cut) -> list[Chart]:
    """The charts of one model's backtest, each with what it says in words."""
    origin = day(past.origin)
    counted, expected = found.tracking.actual.sum(), found.tracking.expected.sum()
    actual_again, expected_again = (group[1:].sum() for group in found.frequencies)
    shown = [
        Chart(
            "Purchases over time",
            f"All repeat purchases of the customers known on {origin}: {count(counted)} in all, "
            f"{count(expected)} expected ({percent(expected / counted - 1, signed=True)}). Up to the dotted "
            "line the model was fitted; after it, it forecasts." if counted else "Nobody bought again.",
            _safe(charts.cumulative(found.tracking, past)),
        ),
        Chart(
            "Purchases per week",
            "The same week by week. The model knows no seasons: single weeks may differ, long stretches on "
            "one side should not.",
            _safe(charts.weekly(found.tracking, past)),
        ),
        Chart(
            "How often customers had bought again",
            f"Customers who had bought again until {origin}: {count(actual_again)}; "
            f"the model accounts for {count(expected_again)}.",
            _safe(charts.frequencies(*found.frequencies)),
        ),
        Chart(
            "What they bought afterwards",
            "Purchases after the forecast, by how often a customer had bought again before it. Where bars "
            "differ, the model is too hopeful or too doubtful about that group.",
            _safe(charts.conditional(found.conditional)),
        ),
        Chart(
            "Are the probabilities right?",
            "Customers in groups of like forecast. On the dashed line, of those said to leave with 80 % "
            "just 80 % do. Bars show what chance alone may do.",
            _safe(charts.calibration(found.raw, found.calibrated)),
        ),
    ]  # fmt: skip
    if found.gains.size:
        best = found.gains[:2].sum()
        shown.append(
            Chart(
                "Does the ranking find the buyers?",
                f"The tenth of customers with the highest forecast made {percent(found.gains[0])} of all "
                f"purchases ({10 * found.gains[0]:.1f} times their share), the best fifth {percent(best)}.",
                _safe(charts.gains(found.gains)),
            )
        )
    return shown


def _safe(drawing: str) -> Markup:
    return Markup(drawing)  # noqa: S704  (ours: numbers and fixed words, drawn by matplotlib)


def percent(share: float | None, *, signed: bool = False) -> str:
    """As a reader wants it: 71.0 %, or with its sign +9.6 %."""
    if share is None:
        return "not defined"
    return f"{100 * share:+.1f} %".replace("-", "−") if signed else f"{100 * share:.1f} %"


def count(value: float) -> str:
    """How many: whole, or with a decimal where there are few."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many digits after the point."""
    return "not defined" if value is None else f"{value:,.{digits}f}"


def day(at: date) -> str:
    """30 September 1997."""
    return f"{at.day} {at:%B %Y}"
