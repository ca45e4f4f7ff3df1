"""model.json: a fitted model by its name, with parameters as the literature calls them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from scoring.analysis.files import BadFile, read_json
from scoring.models import bg_nbd, gamma_gamma, mbg_nbd, pareto_nbd
from scoring.models.complaint_effect import NO_EFFECT, Gamma
from scoring.models.complaints import PHASES
from scoring.models.fit import Fit, known

WITH_COMPLAINTS = "pareto-nbd-complaints"
SPENDING = "gamma-gamma"
PURCHASES: Mapping[str, ModuleType] = MappingProxyType(
    {"pareto-nbd": pareto_nbd, "bg-nbd": bg_nbd, "mbg-nbd": mbg_nbd, WITH_COMPLAINTS: pareto_nbd}
)
MODELS = (*PURCHASES, SPENDING)

_POSITIVE, _NOT_NEGATIVE = "a positive number", "0 or more"
_ABOVE_1 = "a number above 1: the mean amount would be infinite"
_RULES: Mapping[str, Callable[[float], bool]] = {
    "a number": lambda _: True,
    _POSITIVE: lambda value: value > 0,
    _NOT_NEGATIVE: lambda value: value >= 0,
    _ABOVE_1: lambda value: value > 1,
    "from 0 to 1": lambda value: 0 <= value <= 1,
}
_ALONG = {
    "coming_shape": _POSITIVE,
    "coming_rate": _POSITIVE,
    "coming_after_death": "from 0 to 1",
    "coming_per_purchase": _NOT_NEGATIVE,
    "coming_lag": _POSITIVE,
    "closing_rate": _NOT_NEGATIVE,
}
"""What is estimated along with γ; older files have none of it."""


@dataclass(frozen=True, slots=True)
class Read:
    """A model as read; γ is no effect but of a model with complaints."""

    name: str
    params: Any
    gamma: Gamma = NO_EFFECT


def document(name: str, prior: str, found: Fit[Any]) -> dict[str, Any]:
    """What the file says of any fit; standard errors are null where the data do not determine a parameter."""
    return {
        "model": name,
        "parameters": asdict(found.params),
        "standard_errors": known(found.standard_errors),
        "log_likelihood": found.log_likelihood,
        "n": found.n,
        "repeat_buyers": found.repeat_buyers,
        "converged": found.converged,
        "prior": prior,
        "prior_driven": found.prior_driven,
    }


def read(path: Path) -> Read:
    """The model in a file that `fit` wrote; BadFile names what is missing or wrong."""
    told = read_json(path)
    if not isinstance(told, dict) or told.get("model") not in MODELS:
        raise BadFile(f'{path}: field "model" is none of {", ".join(MODELS)}')
    name = told["model"]
    kind = gamma_gamma.Params if name == SPENDING else PURCHASES[name].Params
    where = "in_use" if name == WITH_COMPLAINTS else "parameters"
    values = told.get(where)
    if not isinstance(values, dict):
        raise BadFile(f'{path}: field "{where}" is missing; it names the parameters of {name}')
    wrong: list[str] = []

    def value(field: str, rule: str = _POSITIVE) -> float:
        found = _number(values.get(field))
        if not (math.isfinite(found) and _RULES[rule](found)):
            wrong.append(f'{path}: field "{where}.{field}": {repr(values.get(field))[:60]} is not {rule}')
        return found

    numbers = [
        value("q", _ABOVE_1) if name == SPENDING and field.name == "q" else value(field.name)
        for field in fields(kind)
    ]
    gamma = {}
    if name == WITH_COMPLAINTS:
        gamma = {phase: value(f"gamma_{phase}", "a number") for phase in PHASES}
        gamma |= {one: value(one, rule) for one, rule in _ALONG.items() if one in values}
    if wrong:
        raise BadFile("\n".join(wrong))
    return Read(name, kind(*numbers), Gamma(**gamma) if gamma else NO_EFFECT)


def _number(told: object) -> float:
    """A number of the file; NaN where it is none."""
    try:
        return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else math.nan
    except OverflowError:
        return math.inf
