"""The page about a model: what was decided, how good it is, what has changed since the one served before.

(Imports what draws, which takes two seconds: import it only where a page is made.)
"""

import math

from scoring.analysis.report import (
    Figure,
    Page,
    Section,
    Table,
    Tone,
    count,
    day,
    html,
    number,
    percent,
    pictures,
)
from scoring.care.domain import ComplaintEffect, Served
from scoring.care.judging import Comparison, History, Judgement, Learnt, Trial
from scoring.models.complaints import PHASES
from scoring.models.diagnostics import diagnose
from scoring.models.metrics import Metrics

_HEAD = ["RMSE", "MAE", "Purchases off by", "AUC", "Brier", "ECE", "Churn off by"]
_NOTE = (
    "RMSE and MAE: error of a customer's purchases. Brier and ECE: error of the churn probability. Lower is "
    "better but in AUC."
)
_DRIFT = 0.1
"""Churn or purchases off by more than this share are worth a look."""


def render(judgement: Judgement, made: Served, before: Served, history: History) -> str:
    """The page about a model `made`, when the model `before` was served."""
    latest = judgement.trials[-1] if judgement.trials else None
    sections = [_changed(made, before)]
    if latest is not None:
        shown = diagnose(
            latest.evaluation.fitted.forecaster,
            latest.cut,
            history.purchases,
            latest.evaluation.churn,
            latest.evaluation.calibrated_churn,
        )
        sections.insert(0, Section("The last backtest, drawn", charts=pictures(shown, latest.cut)))
        sections.append(Section("All backtests", text=[_of_trials(judgement)], tables=[_trials(judgement)]))
    if judgement.comparison is not None:
        sections.insert(1, _compared(judgement.comparison, made, before))
    if judgement.learnt is not None:
        sections.append(Section("Calibration", text=_calibration(judgement.learnt)))
    if made.complaint_effect is not None:
        sections.append(_of_complaints(made.complaint_effect))
    fitted_at = f", fitted {made.fitted_at:%d.%m.%Y %H:%M} UTC" if made.fitted_at else ""
    return html(
        Page(
            title=f"Model {made.version}",
            subtitle=f"Pareto/NBD with complaints{fitted_at} to {made.customers:,} customers",
            tone=_tone(judgement, made),
            verdict=_verdict(judgement, made, before),
            figures=_figures(made, latest),
            sections=sections,
        )
    )


def _tone(judgement: Judgement, made: Served) -> Tone:
    if not judgement.published:
        return "bad"
    return "attention" if made.prior_driven or _drifts(judgement) else "good"


def _verdict(judgement: Judgement, made: Served, before: Served) -> list[str]:
    told = [
        f"Model {made.version} is served from now on."
        if judgement.published
        else f"Model {made.version} was refused; model {before.version} goes on being served.",
        f"Why: {judgement.why}.",
    ]
    if made.prior_driven:
        told.append(
            f"Customers who had bought again: {made.repeat_buyers}, too few for parameters of their own. "
            "What is forecast comes mostly from published values for other customers; the intervals show it."
        )
    if judgement.trials:
        latest = judgement.trials[-1]
        calibrated = judgement.learnt is not None and judgement.learnt.why_not is None
        said = latest.evaluation.calibrated_churn if calibrated else latest.evaluation.churn
        told.append(
            f"Had it been fitted on {day(latest.cut.origin)}, it would have foretold that "
            f"{percent(float(said.mean()))} buy nothing until {day(latest.cut.end)}; "
            f"{percent(float(latest.cut.churned.mean()))} bought nothing."
        )
    told += [f"Look at this: {drift}" for drift in _drifts(judgement)]
    return told


def _drifts(judgement: Judgement) -> list[str]:
    """What has drifted: the model served so far, on the last days that are over."""
    if judgement.comparison is None:
        return []
    served, told = judgement.comparison.served, []
    for what, bias in (("churn", served.bias), ("purchases", served.purchases_bias)):
        if bias is not None and abs(bias) > _DRIFT:
            told.append(
                f"the model served so far had {what} off by {percent(bias, signed=True)} from "
                f"{day(judgement.comparison.origin)} to {day(judgement.comparison.until)}."
            )
    return told


def _figures(made: Served, latest: Trial | None) -> list[Figure]:
    purchase = made.model.purchase
    shown = [
        Figure(
            "Bought again",
            count(made.repeat_buyers),
            f"of {made.customers:,} customers who have bought at all",
        ),
        Figure(
            "Between two purchases",
            f"{purchase.alpha / purchase.r:.1f} weeks",
            "of the average customer, while they still buy here",
        ),
        Figure(
            "Half have left after", f"{_half_left(made):.0f} weeks", "of new customers without a complaint"
        ),
    ]
    if latest is not None:
        auc = latest.evaluation.raw.auc
        shown.append(Figure("Telling buyers apart", number(auc, 2), "AUC: 0.5 is chance, 1 is perfect"))
    return shown


def _half_left(made: Served) -> float:
    """When half of new customers have left, in weeks: (β/(β+t))^s = ½."""
    purchase = made.model.purchase
    return float(purchase.beta * (2 ** min(1 / purchase.s, 1000) - 1))


def _changed(made: Served, before: Served) -> Section:
    errors = made.standard_errors.get("purchase", {})
    rows = [
        ["customers", f"{before.customers:,}", f"{made.customers:,}", ""],
        ["customers who bought again", f"{before.repeat_buyers:,}", f"{made.repeat_buyers:,}", ""],
        ["complaints", f"{before.complaints:,}", f"{made.complaints:,}", ""],
        [
            "weeks until half have left",
            f"{_half_left(before):.0f}",
            f"{_half_left(made):.0f}",
            "",
        ],
    ]
    for part, values in made.parameters.items():
        for name, value in values.items():
            old, error = before.parameters[part][name], errors.get(name) if part == "purchase" else None
            by = f"{(value - old) / error:+.1f}".replace("-", "−") if error else ""
            rows.append([f"{part}: {name}", f"{old:.4g}", f"{value:.4g}", by])
    for name in ("intercept", "slope"):
        old, new = getattr(before.model.calibrator, name), getattr(made.model.calibrator, name)
        rows.append([f"calibrator: {name}", f"{old:.4g}", f"{new:.4g}", ""])
    return Section(
        "What has changed",
        tables=[
            Table(
                f"Model {before.version}, served so far, and model {made.version}",
                ["", f"Model {before.version}", f"Model {made.version}", "Change in standard errors"],
                rows,
                "Changes of up to two standard errors are what chance makes. Times are in weeks, amounts in "
                "minor units.",
            )
        ],
    )


def _compared(found: Comparison, made: Served, before: Served) -> Section:
    rows = [
        [f"model {made.version}", *_row(found.candidate)],
        [f"model {before.version}, served so far", *_row(found.served)],
    ]
    return Section(
        "Compared with the model served so far",
        text=[
            f"Both, each calibrated as it is served, on what {found.customers:,} customers bought after "
            f"{day(found.origin)} until {day(found.until)}. A model is refused where its Brier score or RMSE "
            "is clearly higher than that of the one served."
        ],
        tables=[Table("Errors on the same days", ["Model", *_HEAD], rows, _NOTE)],
    )


def _of_complaints(effect: ComplaintEffect) -> Section:
    served = "It is used." if effect.used else "It is not used, but the effect assumed is."
    rows = []
    for phase in PHASES:
        value, error = effect.gamma[phase], effect.standard_errors.get(phase)
        times = f"{math.exp(min(value, 700)):.2f} times"
        rows.append([phase, f"{value:+.2f}".replace("-", "−"), number(error), times])
    return Section(
        "What complaints do",
        text=[
            f"Estimated from {count(effect.complaints)} complaints. {served} Why: {effect.why}.",
            "That complaints do nothing would make such data with a probability of "
            f"p = {effect.p_value:.2g} (likelihood-ratio test). Of customers who have left, as many complain "
            f"as {percent(effect.gamma.get('coming_after_death', 1.0))} of those who have not.",
        ],
        tables=[
            Table(
                "The hazard of leaving, for a major complaint",
                ["While a complaint is", "In logarithms", "Standard error", "The hazard is"],
                rows,
                "",
            )
        ],
    )


def _of_trials(judgement: Judgement) -> str:
    one_in = judgement.one_in
    of = "" if one_in == 1 else f" Held on one customer in {one_in}."
    return f"Fitted to what was known on a day, measured on what followed.{of}"


def _trials(judgement: Judgement) -> Table:
    rows = []
    for trial in judgement.trials:
        span = f"{day(trial.cut.origin)} to {day(trial.cut.end)}"
        rows.append([span, *_row(trial.evaluation.raw)])
        rows.append([f"{span}, calibrated", *_row(trial.evaluation.calibrated)])
    return Table("Errors of each backtest", ["Days", *_HEAD], rows, _NOTE)


def _row(found: Metrics) -> list[str]:
    return [
        number(found.rmse), number(found.mae), percent(found.purchases_bias, signed=True), number(found.auc),
        number(found.brier, 4), number(found.ece, 4), percent(found.bias, signed=True),
    ]  # fmt: skip


def _calibration(learnt: Learnt) -> list[str]:
    found = learnt.calibration
    told = [
        f"Learnt from forecasts made on {day(learnt.origin)} of what {found.customers:,} customers did until "
        f"{day(learnt.until)}; they were off by more than chance explains with a probability of "
        f"{percent(1 - found.p_value)}."
    ]
    if learnt.why_not:
        return [*told, f"Not used: {learnt.why_not}."]
    used = found.calibrator
    return [
        *told,
        "Used, as it made every later backtest better: log-odds of calibrated churn = "
        f"{used.intercept:.3f} + {used.slope:.3f} × log-odds of churn.",
    ]
