"""The scoring service, put together: how loyal customers are, how likely to leave, and why."""

from pathlib import Path

import scoring.bands.tables  # (imported so that their tables are known)
import scoring.facts.tables  # noqa: F401
from scoring.bands.handlers import keep_bands
from scoring.care.handlers import refit_on_schedule
from scoring.care.router import router as models_router
from scoring.facts.handlers import HANDLERS
from scoring.serving.router import router as scores_router
from scoring.serving.waiting import Arrivals
from scoring.settings import ScoringSettings
from scoring.tables import metadata
from shared.service import Service

SERVICE = Service(
    name="scoring",
    title="Patron scoring",
    settings=ScoringSettings,
    tables=metadata,
    routers=[scores_router, models_router],
    handlers=HANDLERS,
    jobs=[keep_bands, refit_on_schedule],
    resources=lambda _settings, db: {"arrivals": Arrivals(db)},
    migrations=Path(__file__).parents[2] / "migrations",
)
