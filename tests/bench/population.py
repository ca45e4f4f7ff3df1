"""(d) Fitting the purchase model to a million customers, and scoring them all with their value."""

import resource
import time

import numpy as np
from rich.table import Table

from scoring.models import pareto_nbd
from scoring.models.arrays import Floats
from scoring.models.complaint_effect import Gamma
from scoring.models.complaints import Schedules
from scoring.models.rfm import Rows
from scoring.models.score import Customers, Model, score

CUSTOMERS = 1_000_000
HORIZON_WEEKS = 13.0
_SIGNS = Gamma(
    1.0, 1.5, -0.4, coming_shape=0.8, coming_rate=40.0, coming_after_death=0.1, coming_per_purchase=3.0,
    coming_lag=1.5, closing_rate=0.4,
)  # fmt: skip


def run() -> Table:
    """Customers drawn from the model itself; this process alone, both cores."""
    rows, mean_amount = population(np.random.default_rng(7))
    began = time.perf_counter()
    fitted = pareto_nbd.fit(rows)
    fit_seconds = time.perf_counter() - began
    began = time.perf_counter()
    scores = score(Customers.of(rows.x, rows.t_x, rows.T, mean_amount), Model(fitted.params), HORIZON_WEEKS)
    score_seconds = time.perf_counter() - began
    assert len(scores.churn) == CUSTOMERS
    complaining = Customers.of(rows.x, rows.t_x, rows.T, mean_amount, _complaints(rows))
    began = time.perf_counter()
    score(complaining, Model(fitted.params, gamma=_SIGNS), HORIZON_WEEKS)
    signs_seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = Table("", "measured", "aim", title=f"(d) {CUSTOMERS:,} customers, in memory")
    table.add_row("fit Pareto/NBD by MAP", f"{fit_seconds:.1f} s", "15 s")
    table.add_row("score all, with value", f"{score_seconds:.2f} s", "1.5 s")
    table.add_row("the same, a tenth complained, which is a sign of life", f"{signs_seconds:.2f} s", "1.5 s")
    table.add_row("peak memory of the process", f"{memory:,.0f} MB", "500 MB")
    return table


def _complaints(rows: Rows) -> Schedules:
    """One complaint of every tenth customer: open, or resolved well or badly after some weeks."""
    random, who = np.random.default_rng(8), np.arange(0, CUSTOMERS, 10)
    opened = random.uniform(0, rows.T[who])
    resolved = opened + random.exponential(2, len(who))
    outcome = random.integers(1, 3, len(who))
    still_open = resolved > rows.T[who]
    resolved[still_open], outcome[still_open] = np.nan, 0
    return Schedules.of_arrays(who, opened, resolved, outcome, random.choice([0.5, 1.0, 1.5], len(who)))


def population(random: np.random.Generator) -> tuple[Rows, Floats]:
    """A million customers whose rates are gamma distributed, seen for up to two years, to the second."""
    r, alpha, s, beta = 0.9, 6.0, 1.2, 40.0
    T = random.uniform(1, 104, CUSTOMERS)
    lives = np.minimum(random.exponential(1 / random.gamma(s, 1 / beta, CUSTOMERS)), T)
    x = random.poisson(random.gamma(r, 1 / alpha, CUSTOMERS) * lives).astype(float)
    # The last of x uniform instants in a life is distributed as its greatest order statistic.
    t_x = np.where(x > 0, lives * random.random(CUSTOMERS) ** (1 / np.maximum(x, 1)), 0.0)
    return Rows.of(x, t_x, T), np.where(x > 0, random.gamma(6.0, 500.0, CUSTOMERS), 0.0)
