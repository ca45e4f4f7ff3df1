"""The scoring service, put together: how loyal customers are, how likely to leave, and why."""

from pathlib import Path

import scoring.bands.tables  # (imported so that their tables are known)
import scoring.facts.tables
import scoring.lists.tables
import scoring.rebuilding.tables
import scoring.value.tables
import scoring.weights.tables  # noqa: F401
from scoring.bands.handlers import keep_bands
from scoring.bands.restating import tell_restatements
from scoring.care.handlers import refit_on_schedule
from scoring.care.router import router as models_router
from scoring.facts.handlers import handlers_in
from scoring.lists.handlers import Everybody
from scoring.lists.router import router as lists_router
from scoring.rebuilding.handlers import rebuild_on_request
from scoring.rebuilding.router import router as rebuilds_router
from scoring.serving.router import router as scores_router
from scoring.serving.together import Together
from scoring.serving.waiting import Arrivals
from scoring.settings import ScoringSettings
from scoring.tables import metadata
from scoring.trend.router import router as trend_router
from scoring.value.handlers import compare_after_each_fit
from scoring.value.router import methods_router as value_methods_router
from scoring.value.router import router as value_router
from scoring.weights.router import router as weights_router
from shared.db import Database
from shared.service import Service


def _resources(settings: ScoringSettings, db: Database) -> dict[str, object]:
    everybody = Everybody(db)
    return {
        "arrivals": Arrivals(db),
        "together": Together(db, settings),
        "everybody": everybody,
        "ready": everybody.ready,
    }


SERVICE = Service(
    name="scoring",
    title="Patron scoring",
    settings=ScoringSettings,
    tables=metadata,
    routers=[
        scores_router,
        lists_router,
        models_router,
        rebuilds_router,
        trend_router,
        value_router,
        value_methods_router,
        weights_router,
    ],
    handlers=lambda settings: handlers_in(settings.currency),
    jobs=[keep_bands, tell_restatements, rebuild_on_request, refit_on_schedule, compare_after_each_fit],
    resources=_resources,
    migrations=Path(__file__).parents[2] / "migrations",
)
