"""Shapes of lists in answers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator

from shared.events.scoring import Band
from shared.web.fields import View
from shared.web.paging import Page


class ListedScoreView(View):
    """A customer's figures, within the deployment's own horizon, as computed at `scored_at`.

    They are computed anew before time changes them noticeably: see `as_of` of the page.
    """

    customer_id: UUID
    churn: float
    band: Band
    p_alive: float
    expected_purchases: float
    loyalty: float
    value_minor: int
    model_version: int
    weights_version: Annotated[str, BeforeValidator(str)]
    scored_at: datetime


class BandCountsView(View):
    """How many customers there are in each churn band."""

    low: int
    medium: int
    high: int
    critical: int


class ScorePage(Page[ListedScoreView]):
    """Some of the customers under the filters; `total` and `by_band` count them on all pages, exactly.

    The figures hold as of `as_of`: but for at most 0.001 of churn and p_alive, 0.1 of loyalty, 1 % of the
    purchases expected and the value. Before it, everything that had happened was counted.
    """

    total: int
    by_band: BandCountsView
    as_of: datetime
