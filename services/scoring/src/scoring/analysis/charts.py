"""Charts of a backtest, as SVG to stand in a page. (Imports matplotlib, which takes two seconds.)"""

import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scoring.models.arrays import Floats
from scoring.models.backtest import Cut, Days
from scoring.models.diagnostics import MOST, Conditional, Tracking
from scoring.models.metrics import Reliability

ACTUAL, EXPECTED, CALIBRATED, FAINT = "#333333", "#0072b2", "#009e73", "#b8bec7"  # told apart by everybody
_GROUPS = [*(str(k) for k in range(MOST)), f"{MOST}+"]
_STYLE: dict[Any, Any] = {
    "date.converter": "concise",
    "svg.fonttype": "none",  # text stays text: sharp, searchable, in the page's own font
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a929d",
    "axes.labelcolor": "#333333",
    "axes.grid": True,
    "grid.color": "#e6e9ed",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


def cumulative(tracking: Tracking, past: Cut) -> str:
    """All repeat purchases so far, week by week."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("Repeat purchases so far")
        for series, colour, label in _actual_and_expected(tracking):
            axes.plot(_weeks(tracking, past), np.cumsum(series), color=colour, label=label, linewidth=2)
        _time_axis(axes, past)
        _legend(axes)
        return _svg(figure, "cumulative")


def weekly(tracking: Tracking, past: Cut) -> str:
    """Repeat purchases of each week."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("Repeat purchases a week")
        for series, colour, label in _actual_and_expected(tracking):
            axes.plot(_weeks(tracking, past), series, color=colour, label=label, linewidth=1.6)
        _time_axis(axes, past)
        _legend(axes)
        return _svg(figure, "weekly")


def frequencies(actual: Floats, expected: Floats) -> str:
    """How many customers bought again so often."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("Customers")
        _pairs(axes, actual, expected)
        axes.set_xlabel("Repeat purchases until the forecast was made")
        return _svg(figure, "frequencies")


def conditional(found: Conditional) -> str:
    """Purchases after the origin by purchases before it."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("Purchases per customer afterwards")
        _pairs(axes, found.actual, found.expected)
        axes.set_xlabel("Repeat purchases until the forecast was made")
        return _svg(figure, "conditional")


def calibration(raw: Reliability, calibrated: Reliability | None) -> str:
    """Forecast churn against what happened, in groups of like forecasts."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("Share that bought nothing, %")
        axes.plot([0, 100], [0, 100], color=FAINT, linewidth=1.4, linestyle="--", label="exactly as forecast")
        for curve, colour, label, marker in (
            (raw, EXPECTED, "model", "o"),
            (calibrated, CALIBRATED, "calibrated", "s"),
        ):
            if curve is not None:
                likely = (curve.actual * curve.customers + 1) / (curve.customers + 2)
                noise = 196 * np.sqrt(likely * (1 - likely) / curve.customers)
                axes.errorbar(
                    100 * curve.forecast, 100 * curve.actual, noise, color=colour, label=label,
                    marker=marker, markersize=5, linewidth=1.6, elinewidth=0.9, capsize=2,
                )  # fmt: skip
        axes.set(xlim=(0, 100), ylim=(0, 102), xlabel="Forecast probability of buying nothing, %")
        _legend(axes)
        return _svg(figure, "calibration")


def gains(shares: Floats) -> str:
    """Which share of the purchases the best-forecast customers made."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("Share of all purchases made, %")
        tenths = np.linspace(0, 100, len(shares) + 1)
        reached = np.concatenate([[0.0], 100 * np.cumsum(shares)])
        axes.plot([0, 100], [0, 100], color=FAINT, linewidth=1.4, linestyle="--", label="chosen at random")
        axes.plot(
            tenths, reached, color=EXPECTED, marker="o", markersize=5, linewidth=2,
            label="by forecast", clip_on=False,
        )  # fmt: skip
        for tenth in (1, 2):
            axes.annotate(
                f"{reached[tenth]:.0f} %", (tenths[tenth], reached[tenth]), xytext=(8, -13),
                textcoords="offset points", color=EXPECTED,
            )  # fmt: skip
        axes.set(xlim=(0, 100), ylim=(0, 103), xlabel="Customers, those with the highest forecast first, %")
        _legend(axes)
        return _svg(figure, "gains")


def _axes(label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.7), layout="constrained")
    axes = figure.subplots()
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    return figure, axes


def _actual_and_expected(tracking: Tracking) -> list[tuple[Floats, str, str]]:
    return [(tracking.actual, ACTUAL, "actual"), (tracking.expected, EXPECTED, "expected")]


def _weeks(tracking: Tracking, past: Cut) -> Days:
    """The last day of each week."""
    return np.asarray(past.first.min() + 7 * np.arange(len(tracking.actual)) + 6)


def _time_axis(axes: Axes, past: Cut) -> None:
    """Dates, and where the forecast begins."""
    axes.set_xlabel("Week")
    axes.set_ylim(bottom=0)
    axes.axvline(past.origin, color="#d55e00", linewidth=1.2, linestyle=":")  # type: ignore[arg-type]  # a date
    axes.annotate(
        "forecast from here", (past.origin, 0.04), xycoords=("data", "axes fraction"), xytext=(5, 0),
        textcoords="offset points", color="#d55e00", fontsize=10,
    )  # fmt: skip


def _pairs(axes: Axes, actual: Floats, expected: Floats) -> None:
    place = np.arange(len(_GROUPS))
    axes.bar(place - 0.2, np.nan_to_num(actual), 0.38, color=ACTUAL, label="actual")
    axes.bar(place + 0.2, np.nan_to_num(expected), 0.38, color=EXPECTED, label="expected")
    axes.set_xticks(place, _GROUPS)
    axes.grid(visible=False, axis="x")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Above the chart, in the way of nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderaxespad=0.2)


def _svg(figure: Figure, name: str) -> str:
    """The drawing alone, its ids its own, as wide as the page lets it be."""
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    drawing = out.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", drawing)
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", drawing, count=1, flags=re.S)
