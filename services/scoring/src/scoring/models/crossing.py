"""When, if nothing happens, a customer's churn will rise over a threshold. By time alone it never falls.

With S(t) the probability, after the last purchase, that nothing is bought until t, churn within H is
S(T+H)/S(T), and

    d ln churn/dT = h(T) − h(T+H),    h = −S'/S.

The hazard h of the next purchase only falls, whatever complaints make of g: with E over the customer's λ and
μ, S' = −E[λ e^{−λt−μG(t)}], S'' = E[λ(λ + μg(t)) e^{−λt−μG(t)}] ≥ E[λ² e^{−λt−μG(t)}] and
S ≥ E[e^{−λt−μG(t)}], so S·S'' ≥ S'² by Cauchy and Schwarz. So churn rises for ever; where the window of a
complaint ends it only rises more slowly. In the same way P(alive), the purchases expected and their value
only fall. A customer whose band falls has bought, or more became known.

It is no other where complaints are signs of life. Churn is (I + P₀)/(1 + I), and with the mean rates λ̄ of
buying and μ̄ of dying of a customer alive at T,

    dI/dT = μ̄ + I·(λ̄ + μ̄) + e,    d churn/dT = [(1 − P₀)·(μ̄ + λ̄·I/(1+I) + e/(1+I)) + P₀'] / (1 + I),

where e is what the want of signs adds: never negative, as what `complaint_signs` multiplies the integrand by
only grows with T. Without it, the bracket is not negative at I = 0, as has just been shown of a customer who
has just bought and is of the same λ̄, μ̄ and P₀; and both I and e only make it larger. (But for a sign of life
that is dated ahead by a clock that is fast: until that instant the customer is known to live.)
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import elementwise

from .arrays import Floats, Ints, floats, in_pieces, joined
from .score import Customers, Model, log_odds_churn

FAR = 10 * 365.2425 / 7  # ten years in weeks: beyond, never
SECOND = 1 / (7 * 24 * 3600)
_WITHIN = SECOND / 4


def crossing(customers: Customers, model: Model, horizon: float, threshold: ArrayLike) -> Floats:
    """Weeks until churn within `horizon` weeks reaches the threshold; 0: it has; inf: not within ten years.

    Never before churn has reached it, and at most half a second after. ValueError unless thresholds lie
    between 0 and 1; one for all, or one per customer.
    """
    (over,) = floats(threshold)
    if not ((over > 0) & (over < 1)).all():
        raise ValueError("a threshold of churn lies between 0 and 1")
    goal = special.logit(np.broadcast_to(over, customers.x.shape))

    def above(rows: Ints, weeks: Floats) -> Floats:
        """logit(churn) less the goal, so many weeks from now."""
        some = customers.take(rows)
        return log_odds_churn(replace(some, T=some.T + weeks), model, horizon) - goal[rows]

    def find(piece: slice) -> Floats:
        rows = np.arange(len(goal))[piece]
        found = np.where(above(rows, np.zeros(len(rows))) >= 0, 0.0, np.inf)
        ahead = np.flatnonzero(np.isinf(found))
        ahead = ahead[above(rows[ahead], np.full(len(ahead), FAR)) >= 0]
        if ahead.size:
            found[ahead] = _root(above, rows[ahead])
        return found

    return joined(in_pieces(find, len(goal)))


def _root(above: Callable[[Ints, Floats], Floats], rows: Ints) -> Floats:
    """Where it turns positive within `FAR`, searched on a scale on which far instants lie closer together."""

    def scaled(log_weeks: Floats, *args: Floats, **_: object) -> Floats:
        return above(args[0].astype(np.int64), np.expm1(log_weeks))

    found = elementwise.find_root(
        scaled,
        (np.zeros(len(rows)), np.full(len(rows), np.log1p(FAR))),
        args=(rows,),
        tolerances={"xatol": _WITHIN / (1 + FAR), "xrtol": 0.0, "fatol": 0.0, "frtol": 0.0},
    )
    return np.asarray(np.expm1(found.x) + _WITHIN, dtype=np.float64)
