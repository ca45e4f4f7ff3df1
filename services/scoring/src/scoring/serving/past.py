"""Reading a score of a past instant: as it was then known, or as it is now known to have been."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from scoring.care import store as models
from scoring.care.domain import Served, as_deployed
from scoring.facts import store as facts
from scoring.facts.domain import Complaint, Fact, Purchase, summarize
from scoring.facts.past import Reached, Version, counted_at, known_at, true_at
from scoring.facts.reading import micros
from scoring.serving.domain import CitedComplaint, Known, scores
from scoring.serving.handlers import receipt_view, score_view
from scoring.serving.receipts import RESOLVED, Citations, Cited
from scoring.serving.schemas import ReceiptView, ScoreView
from scoring.serving.store import MOST_CITED, phases, unknown
from scoring.serving.together import wants_intervals
from scoring.settings import ScoringSettings
from shared.db import Database
from shared.errors import FieldError, Invalid, NotFound


class Asked(NamedTuple):
    """The instant, and by whose knowledge: then, now, or after so many events and with that model."""

    as_of: datetime
    known: Literal["then", "now"] = "then"
    reached: Reached | None = None
    model_version: int | None = None


def asked(
    as_of: datetime | None,
    known: Literal["then", "now"] | None,
    reached: tuple[int | None, int | None],
    model_version: int | None,
    now: datetime,
) -> Asked | None:
    """What of the past is asked for, if anything. Raises `Invalid` where the question contradicts itself."""
    orders, service_desk = reached
    if as_of is None:
        given = {"known": known, "orders_seq": orders, "service_desk_seq": service_desk,
                 "model_version": model_version}  # fmt: skip
        errors = [
            FieldError(name, "goes with as_of", value) for name, value in given.items() if value is not None
        ]
        if errors:
            raise Invalid("Say with as_of which instant is meant.", errors=errors)
        return None
    if as_of > now:
        raise Invalid(
            "Only what has been can be asked for; for what is to come use horizon_days.",
            errors=[FieldError("as_of", f"must not be after {now.isoformat()}", as_of.isoformat())],
        )
    if (orders is None) != (service_desk is None):
        missing = "orders_seq" if orders is None else "service_desk_seq"
        raise Invalid(
            "Give both sequences, as the score's progress says them.",
            errors=[FieldError(missing, "is needed with the other one")],
        )
    if orders is None or service_desk is None:
        return Asked(as_of, known or "then", None, model_version)
    if known == "now":
        raise Invalid(
            "Sequences say what was known; known=now asks for what is.",
            errors=[FieldError("known", "must be then where sequences are given", known)],
        )
    return Asked(as_of, "then", Reached(orders, service_desk), model_version)


async def read_past_score(
    db: Database,
    settings: ScoringSettings,
    customer_id: UUID,
    horizon_days: int | None,
    language: str,
    with_intervals: bool | None,
    question: Asked,
) -> ScoreView:
    """A customer's score of a past instant, computed from the facts that were or are now known of it."""
    found, served = await read_facts(db, settings, customer_id, question)
    known = known_of(customer_id, found, question.reached)
    band_days = settings.churn_horizon_days
    days, sure = horizon_days or band_days, wants_intervals(served, with_intervals)
    (scored,) = scores([known], served, days, band_days, question.as_of, with_intervals=sure)
    return score_view(known, scored, served, settings, days, language, question.as_of)


async def read_past_receipt(
    db: Database,
    settings: ScoringSettings,
    customer_id: UUID,
    horizon_days: int | None,
    language: str,
    question: Asked,
) -> ReceiptView:
    """What that score is made of."""
    found, served = await read_facts(db, settings, customer_id, question)
    known, citations = known_of(customer_id, found, question.reached), citations_of(found)
    return receipt_view(known, citations, served, settings, horizon_days, language, question.as_of)


async def read_facts(
    db: Database, settings: ScoringSettings, customer_id: UUID, question: Asked
) -> tuple[list[Fact], Served]:
    """The facts that the question is about, and the model to score them with."""
    async with db.read() as tx:
        versions = await facts.list_versions(tx, customer_id)
        if question.known == "now":
            served = await models.served(tx)
        else:
            served = await models.served_at(tx, question.as_of)
        if question.model_version is not None:
            model = await models.get(tx, question.model_version)
            served = replace(model, loyalty_weights=served.loyalty_weights)
    found = facts_of(versions, question)
    if not found:
        raise _nothing_of(customer_id, question, bool(versions))
    return found, as_deployed(served, settings.margin, settings.assumed_effect)


def _nothing_of(customer_id: UUID, question: Asked, known: bool) -> NotFound:
    """There is nothing to score; what to ask instead, if anything is known of the customer at all."""
    at = question.as_of.isoformat()
    if not known:
        return unknown(customer_id)
    if question.known == "now":
        return NotFound(
            f"Customer {customer_id} was not there yet at {at}: all that is now known of them is of later;"
            " ask for a later instant."
        )
    return NotFound(
        f"Nothing was known of customer {customer_id} at {at}; ask for a later instant, or with known=now for"
        " what is now known of it."
    )


def facts_of(versions: Sequence[Version], question: Asked) -> list[Fact]:
    """The facts that the question is about."""
    if question.reached is not None:
        return counted_at(versions, question.reached)
    if question.known == "then":
        return known_at(versions, question.as_of)
    return true_at([v.fact for v in versions if v.known_until is None], micros(question.as_of))


def known_of(customer_id: UUID, found: Sequence[Fact], reached: Reached | None = None) -> Known:
    """What these facts say of the customer, with the events to cite; the band as of somebody newly met."""
    purchases = [fact for fact in found if isinstance(fact, Purchase)]
    complaints = [fact for fact in found if isinstance(fact, Complaint)]
    return Known(
        customer_id,
        summarize(found),
        None,
        reached.orders if reached else max((f.seq for f in purchases), default=0),
        reached.service_desk if reached else max((f.seq for f in complaints), default=0),
        [f.event_id for f in _bought(found)[:MOST_CITED]],
        [CitedComplaint(f.event_id, phases(f.spells)) for f in _felt(found)[:MOST_CITED]],
    )


def citations_of(found: Sequence[Fact]) -> Citations:
    """What a receipt of these facts cites besides."""
    discounted = [f.event_id for f in _bought(found) if f.amount_minor < f.list_amount_minor]
    resolved = {
        code: [f.event_id for f in _felt(found) if phase in phases(f.spells)]
        for code, phase in RESOLVED.items()
    }
    return Citations(
        discounted[:MOST_CITED],
        {code: Cited(events[:MOST_CITED], len(events)) for code, events in resolved.items()},
    )


def _bought(found: Sequence[Fact]) -> list[Purchase]:
    """Purchases that count, the last one first."""
    counting = [fact for fact in found if isinstance(fact, Purchase) and fact.counts]
    return sorted(counting, key=lambda f: (-f.ordered_at, f.id))


def _felt(found: Sequence[Fact]) -> list[Complaint]:
    """Complaints, the newest first."""
    counting = [fact for fact in found if isinstance(fact, Complaint) and fact.counts]
    return sorted(counting, key=lambda f: (-f.spells[0].opened, f.id))
