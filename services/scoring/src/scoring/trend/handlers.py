"""Reading loyalty with its trend, computed from the facts at the moment of reading."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from scoring.care import store as models
from scoring.care.domain import Served
from scoring.facts import store as facts
from scoring.facts.domain import Fact
from scoring.facts.past import Reached
from scoring.serving.domain import no_purchase_yet
from scoring.serving.past import Asked, known_of, read_facts
from scoring.serving.schemas import LoyaltyView, ProgressView, ReasonView, ServedModelView
from scoring.serving.store import progress, unknown
from scoring.settings import ScoringSettings
from scoring.trend import domain
from scoring.trend.schemas import LoyaltyTrendView, TrendView
from shared.db import Database


async def read_trend(
    db: Database,
    settings: ScoringSettings,
    customer_id: UUID,
    days_ago: Iterable[int],
    language: str,
    question: Asked | None,
    now: datetime,
) -> LoyaltyTrendView:
    """A customer's loyalty against what it was so many days ago; of a past instant if that is asked for."""
    reached: Reached | None
    if question is None:
        as_of, (found, served, reached) = now, await _read_now(db, customer_id)
    else:
        as_of, reached = question.as_of, question.reached
        found, served = await read_facts(db, settings, customer_id, question)
    known = known_of(customer_id, found, reached)
    seen = domain.seen(known.state, served, as_of)
    return LoyaltyTrendView(
        customer_id=customer_id,
        loyalty=LoyaltyView.of(seen.loyalty) if seen else None,
        trend=[
            TrendView.of(trend, language)
            for trend in (domain.trends(found, seen, served, as_of, days_ago) if seen else ())
        ],
        unscored=None if seen else ReasonView.of(no_purchase_yet(), language),
        model=ServedModelView.of(served),
        as_of=as_of,
        progress=ProgressView(orders=known.orders_seq, service_desk=known.service_desk_seq),
    )


async def _read_now(db: Database, customer_id: UUID) -> tuple[list[Fact], Served, Reached]:
    async with db.read() as tx:
        topics = ("patron.orders", "patron.service_desk")
        orders, service_desk = await progress(tx, [(topic, str(customer_id)) for topic in topics])
        found = (await facts.list_facts(tx, [customer_id])).get(customer_id)
        served = await models.served(tx)
    if not found:
        raise unknown(customer_id)
    return found, served, Reached(orders, service_desk)
