"""Shapes of models in requests and answers."""

from datetime import date, datetime

from scoring.care.attempts import Attempt, ModelState
from scoring.care.domain import as_deployed
from scoring.settings import ScoringSettings
from shared.web.fields import Body, Name, View


class ServeModel(Body):
    """Why the model is to be served again; kept with it."""

    reason: Name


class ComplaintEffectView(View):
    """What the data say of complaints. `gamma`: what a major complaint does, `open`, `mishandled` and
    `recovered`, in logarithms of the hazard of leaving; the others say how complaints come, and how far they
    are signs of life.
    `statistic` and `p_value` are of the likelihood-ratio test against no effect, with the number of
    `complaints` behind it; `p_assumed` of the same test against the effect assumed, null where no effect is
    out of the question already. `used` where they are enough and one of the tests is clear; `why`, or why
    not: then the effect assumed is used, see parameters."""

    gamma: dict[str, float]
    standard_errors: dict[str, float | None]
    statistic: float
    p_value: float
    p_assumed: float | None
    complaints: int
    used: bool
    why: str


class MetricsView(View):
    """Errors of forecasts: `rmse`, `mae` and `purchases_bias` of purchases, the others of churn. Biases are
    relative. Null where the outcomes do not determine one: `undetermined` says why."""

    rmse: float
    mae: float
    auc: float | None
    brier: float
    ece: float
    bias: float | None
    purchases_bias: float | None
    undetermined: dict[str, str]


class TrialView(View):
    """A backtest: the whole procedure as of `origin`, measured on the days after it, to `until`."""

    origin: date
    until: date
    customers: int
    churn_rate: float
    raw: MetricsView
    calibrated: MetricsView


class CalibratorView(View):
    """log-odds of calibrated churn = intercept + slope · log-odds of churn, both within `horizon` weeks; for
    other horizons, when those buy who do is the model's."""

    intercept: float
    slope: float
    horizon: float = 90 / 7


class CalibrationView(View):
    """What forecasts made at `origin` were off by until `until`; `calibrator` is that less what is chance.

    It is `used` where it made the later backtests better; `why_not` says what spoke against it.
    """

    origin: date
    until: date
    customers: int
    as_fitted: CalibratorView
    calibrator: CalibratorView
    p_value: float
    used: bool
    why_not: str | None


class DifferenceView(View):
    """By how much its mean squared error exceeds that of the model served then, with the standard error."""

    mean: float
    error: float


class ComparisonView(View):
    """The model and the one served then, each calibrated as served, on the same days."""

    origin: date
    until: date
    customers: int
    candidate: MetricsView
    served: MetricsView
    churn: DifferenceView
    purchases: DifferenceView


class EvidenceView(View):
    """What the decision stands on; trials and comparison are held on one customer in `one_in`."""

    one_in: int
    trials: list[TrialView]
    calibration: CalibrationView | None
    comparison: ComparisonView | None


class ModelView(View):
    """A model: version 0 is the published prior, every other one was fitted to the customers as they were.

    `state`: served; superseded, which it was before; refused, which it never was, `why` says why.
    """

    version: int
    name: str
    kind: str
    state: ModelState
    why: str
    prior_driven: bool
    fitted_at: datetime | None
    customers: int
    repeat_buyers: int
    complaints: int
    log_likelihood: float | None
    parameters: dict[str, dict[str, float]]
    standard_errors: dict[str, dict[str, float | None]]
    calibrator: CalibratorView
    rate_quantiles: list[float]
    complaint_effect: ComplaintEffectView | None
    evidence: EvidenceView | None

    @classmethod
    def of(cls, attempt: Attempt, settings: ScoringSettings) -> "ModelView":
        """The view of a model, as the deployment serves it."""
        made = as_deployed(attempt.model, settings.margin, settings.assumed_effect)
        return cls(
            version=made.version,
            name=made.name,
            kind=made.kind,
            state=attempt.state,
            why=attempt.why,
            prior_driven=made.prior_driven,
            fitted_at=made.fitted_at,
            customers=made.customers,
            repeat_buyers=made.repeat_buyers,
            complaints=made.complaints,
            log_likelihood=made.log_likelihood,
            parameters=made.parameters,
            standard_errors={name: dict(errors) for name, errors in made.standard_errors.items()},
            calibrator=CalibratorView.model_validate(made.model.calibrator),
            rate_quantiles=list(made.rate_quantiles),
            complaint_effect=made.complaint_effect
            and ComplaintEffectView.model_validate(made.complaint_effect),
            evidence=EvidenceView.model_validate(attempt.evidence) if attempt.evidence else None,
        )
