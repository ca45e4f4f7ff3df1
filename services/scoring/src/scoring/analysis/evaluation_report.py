"""The page of `scoring evaluate`: which model, how good, and what to make of it."""

from collections.abc import Mapping

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
from scoring.models.backtest import Cut, Evaluation, Purchases
from scoring.models.calibration import why_not
from scoring.models.diagnostics import diagnose
from scoring.models.forecast import KINDS, WITH_COMPLAINTS
from scoring.models.metrics import Metrics

_NAMES = {
    "pareto-nbd": "Pareto/NBD",
    "bg-nbd": "BG/NBD",
    "mbg-nbd": "MBG/NBD",
    WITH_COMPLAINTS: "Pareto/NBD with complaints",
}
_SMALL, _LARGE = 0.05, 0.15
"""A relative error of totals up to the first is good, beyond the second bad."""


def render(found: Mapping[str, Evaluation], now: Cut, past: Cut, purchases: Purchases) -> str:
    """The page, about the model with complaints where there are any, else Pareto/NBD."""
    kind = WITH_COMPLAINTS if WITH_COMPLAINTS in found else KINDS[0]
    best = found[kind]
    shown = diagnose(best.fitted.forecaster, now, purchases, best.churn, best.calibrated_churn)
    page = Page(
        title="How good are the forecasts?",
        subtitle=f"{_NAMES[kind]}, fitted to purchases until {day(now.origin)}, "
        f"measured on the {now.horizon:.0f} weeks until {day(now.end)}",
        tone=_tone(best),
        verdict=_verdict(best, now),
        figures=_figures(best, now),
        sections=[
            Section("The charts", charts=pictures(shown, now)),
            Section("The models compared", tables=[_compared(found)]),
            Section("The calibrator", text=_calibrator(best, past), tables=[_calibrators(found)]),
            Section("Parameters", text=_driven(best), tables=[_parameters(found)]),
        ],
    )
    return html(page)


def _tone(best: Evaluation) -> Tone:
    errors = [abs(b) for b in (best.calibrated.bias, best.calibrated.purchases_bias) if b is not None]
    worst = max(errors, default=0.0)
    if best.fitted.fit.prior_driven or worst > _SMALL:
        return "bad" if worst > _LARGE else "attention"
    return "good"


def _verdict(best: Evaluation, now: Cut) -> list[str]:
    actual, forecast = float(now.churned.mean()), float(best.calibrated_churn.mean())
    told = [
        f"Of {len(now.bought):,} customers {percent(actual)} bought nothing in the {now.horizon:.0f} weeks; "
        f"{percent(forecast)} had been forecast.",
    ]
    bought, expected = now.bought.sum(), best.purchases.sum()
    bias = best.calibrated.purchases_bias
    off = f" ({percent(bias, signed=True)})" if bias is not None else ""
    told.append(f"Purchases they made: {count(bought)}; expected had been {count(expected)}{off}.")
    if best.raw.auc is not None:
        told.append(
            f"Shown one customer who will buy and one who will not, the model tells which is which "
            f"{100 * best.raw.auc:.0f} times in 100 (chance: 50)."
        )
    if best.fitted.fit.prior_driven:
        told.append(
            f"Customers who had bought again: {best.fitted.fit.repeat_buyers}, too few for parameters of "
            "their own. What is forecast comes mostly from published values for other customers."
        )
    against = why_not(best.calibration, best.raw, best.calibrated)
    told.append(
        f"The probabilities are best left as they are: {against}."
        if against
        else "Calibration makes the probabilities better and may be used."
    )
    return told


def _figures(best: Evaluation, now: Cut) -> list[Figure]:
    low, high = best.churn_interval
    return [
        Figure(
            "Bought nothing", percent(float(now.churned.mean())),
            f"forecast {percent(float(best.churn.mean()))} (90 % interval {percent(low)} to "
            f"{percent(high)}), calibrated {percent(float(best.calibrated_churn.mean()))}",
        ),
        Figure(
            "Purchases per customer", number(float(now.bought.mean()), 2),
            f"expected {number(float(best.purchases.mean()), 2)} (90 % interval "
            f"{number(best.purchases_interval[0], 2)} to {number(best.purchases_interval[1], 2)})",
        ),
        Figure(
            "Telling buyers apart", number(best.raw.auc, 2),
            best.raw.undetermined.get("auc", "AUC: 0.5 is chance, 1 is perfect"),
        ),
        Figure(
            "Error of the probabilities", number(best.calibrated.ece),
            f"ECE, calibrated; the model alone {number(best.raw.ece)}",
        ),
    ]  # fmt: skip


def _compared(found: Mapping[str, Evaluation]) -> Table:
    def row(name: str, m: Metrics) -> list[str]:
        return [
            name, number(m.rmse), number(m.mae), percent(m.purchases_bias, signed=True), number(m.auc),
            number(m.brier, 4), number(m.ece, 4), percent(m.bias, signed=True),
        ]  # fmt: skip

    rows = []
    for kind, one in found.items():
        rows += [row(_NAMES[kind], one.raw), row(f"{_NAMES[kind]}, calibrated", one.calibrated)]
    return Table(
        "Errors of each model",
        ["Model", "RMSE", "MAE", "Purchases off by", "AUC", "Brier", "ECE", "Churn off by"],
        rows,
        "RMSE and MAE: error of a customer's purchases. Brier and ECE: error of the churn probability, ECE "
        "in ten groups of equally many customers. Lower is better but in AUC. Calibration concerns churn.",
    )


def _calibrator(best: Evaluation, past: Cut) -> list[str]:
    learnt = best.calibration
    told = [
        f"Learnt from forecasts made on {day(past.origin)} for the {past.horizon:.0f} weeks until "
        f"{day(past.end)}, of {learnt.customers:,} customers."
    ]
    if learnt.statistic <= 2:
        told.append("They were off by no more than chance explains, so nothing is corrected.")
    else:
        told.append(
            "They were off by more than chance explains (probability of that by chance: "
            f"{learnt.p_value:.2g}); the correction is that, less what chance may have added."
        )
    return told


def _calibrators(found: Mapping[str, Evaluation]) -> Table:
    rows = []
    for kind, one in found.items():
        used, fitted = one.calibration.calibrator, one.calibration.fitted
        rows.append(
            [
                _NAMES[kind], number(used.intercept), number(used.slope), number(fitted.intercept),
                number(fitted.slope), f"{one.calibration.p_value:.2g}",
            ]
        )  # fmt: skip
    return Table(
        "log-odds of calibrated churn = intercept + slope × log-odds of churn",
        ["Model", "Intercept", "Slope", "Intercept as fitted", "Slope as fitted", "p"],
        rows,
    )


def _driven(best: Evaluation) -> list[str]:
    fit = best.fitted.fit
    return [f"{fit.n:,} customers, {fit.repeat_buyers:,} of whom had bought again."]


def _parameters(found: Mapping[str, Evaluation]) -> Table:
    rows = []
    for kind, one in found.items():
        errors = one.fitted.fit.standard_errors
        for name, value in one.fitted.forecaster.parameters.items():
            error = errors.get(name)
            rows.append(
                [f"{_NAMES[kind]}: {name}", f"{value:.4g}", "" if error is None else f"± {error:.2g}"]
            )
    return Table("Parameters, times in weeks", ["Parameter", "Value", "Standard error"], rows)
