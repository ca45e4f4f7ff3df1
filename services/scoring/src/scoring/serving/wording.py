"""What is said of a customer's figures: which sentence, with which of them. The words are in `texts`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scoring.care.domain import Served
from scoring.facts.domain import DAY, WEEK, State
from scoring.facts.reading import instant, micros
from scoring.models.clv import Terms
from scoring.models.complaints import MISHANDLED, RECOVERED
from scoring.models.loyalty import Evidence, Indicator
from scoring.models.reasons import VOICED
from scoring.models.value_parts import Parts
from scoring.serving.texts import Money, Said

_OUTCOMES = {"complaint_mishandled": MISHANDLED, "complaint_recovered": RECOVERED}
_DAYS_PER_WEEK = WEEK / DAY


def of_reason(code: str, state: State, evidence: Evidence, served: Served, now: datetime) -> Said:
    """What stands behind a reason of churn."""
    if code == "silence":
        return _of_silence(evidence)
    if code == "rhythm":
        return _of_rhythm(state, served, micros(now))
    if code == "complaint_open":
        return _of_open_complaints(state, micros(now))
    if code == VOICED:
        return _of_complaining(state, micros(now))
    if code in _OUTCOMES:
        return _of_resolved_complaints(code, state, micros(now))
    return Said(f"churn.{code}")


def of_indicator(code: str, indicator: Indicator, evidence: Evidence) -> Said:
    """What stands behind an indicator of loyalty, or that nothing does."""
    if indicator.value is None:
        return Said(f"missing.{code}")
    return Said(f"loyalty.{code}", _figures_of(code, indicator.value, evidence))


def of_margin(terms: Terms) -> Said:
    """What of an amount is earned."""
    return Said("value.margin", {"margin": terms.margin})


def of_amount(parts: Parts, currency: str) -> Said:
    """What a purchase to come amounts to."""
    return Said("value.expected_amount", {"amount": Money(float(parts.amount[0]), currency)})


def of_own_amounts(state: State, parts: Parts, currency: str) -> Said:
    """What the customer's own purchases add to that."""
    repeats = state.days - 1
    if not repeats:
        return Said("value.own_amounts_none")
    mean = Money(state.repeat_minor / repeats, currency)
    return Said("value.own_amounts", {"repeats": repeats, "mean": mean, "weight": float(parts.own_weight[0])})


def of_all_amounts(parts: Parts, currency: str) -> Said:
    """What those of all customers add."""
    mean = Money(float(parts.all_mean[0]), currency)
    return Said("value.all_customers_amounts", {"mean": mean, "weight": 1 - float(parts.own_weight[0])})


def of_p_alive(parts: Parts) -> Said:
    """Whether the customer still buys."""
    return Said("value.p_alive", {"probability": float(parts.p_alive[0])})


def of_rate(parts: Parts) -> Said:
    """How often, if so."""
    return Said("value.purchases_per_week", {"interval": _DAYS_PER_WEEK / float(parts.rate[0])})


def of_weeks(parts: Parts, terms: Terms) -> Said:
    """For how long."""
    figures = {"months": terms.months, "weeks": float(parts.weeks[0]), "discount": terms.yearly_discount}
    return Said("value.discounted_weeks", figures)


def _figures_of(code: str, value: float, evidence: Evidence) -> Mapping[str, Any]:
    match code:
        case "repeat_rate" | "wallet_share":
            return {"share": value}
        case "referrals":
            return {"referrals": evidence.referrals}
        case "price_insensitivity":
            return {"discounted": evidence.discounted_purchases, "purchases": evidence.purchases}
        case "fault_tolerance":
            return {"forgiven": evidence.repurchases_after_fault, "faults": evidence.faults}
        case "time_of_buying":
            return {"silence": _whole_days(evidence.silence), "usual": _usual_days(evidence)}
        case _:
            return {"rating": value}


def _of_silence(evidence: Evidence) -> Said:
    days = _whole_days(evidence.silence)
    if days == 0:
        return Said("churn.silence_just_now")
    if evidence.usual_interval is None:
        return Said("churn.silence_once", {"silence": days})
    return Said("churn.silence", {"silence": days, "usual": _usual_days(evidence)})


def _of_rhythm(state: State, served: Served, now: int) -> Said:
    """The average customer has as many days with a purchase as are expected of one just met, in that time."""
    assert state.first_at is not None
    purchase = served.model.purchase
    weeks = max(0, now - state.first_at) / WEEK
    return Said(
        "churn.rhythm",
        {
            "bought": state.days,
            "first": instant(state.first_at).date(),
            "average": 1 + purchase.r / purchase.alpha * weeks,
        },
    )


def _of_open_complaints(state: State, now: int) -> Said:
    since = [felt.spells[-1].opened for felt in state.recent if felt.spells[-1].resolved is None]
    if not since:
        return Said("churn.complaint_open_past", {"complaints": state.complaints})
    age = _days_before(now, min(since))
    if len(since) == 1:
        return Said("churn.complaint_open", {"age": age})
    return Said("churn.complaint_open_several", {"open": len(since), "age": age})


def _of_resolved_complaints(code: str, state: State, now: int) -> Said:
    """Of the last one so resolved; before the last purchase only the time spent under them is remembered."""
    resolved = [
        spell.resolved
        for felt in state.recent
        for spell in felt.spells
        if spell.resolved is not None and spell.outcome == _OUTCOMES[code]
    ]
    if not resolved:
        return Said(f"churn.{code}_past")
    return Said(f"churn.{code}", {"age": _days_before(now, max(resolved))})


def _of_complaining(state: State, now: int) -> Said:
    """When the customer last complained, if it was after the last purchase."""
    opened = [
        spell.opened
        for felt in state.recent
        for spell in felt.spells
        if state.last_at is not None and spell.opened >= state.last_at
    ]
    if not opened:
        return Said("churn.complaint_voiced_past", {"complaints": state.complaints})
    return Said("churn.complaint_voiced", {"age": _days_before(now, max(opened))})


def _days_before(now: int, then: int) -> int:
    return max(0, now - then) // DAY


def _whole_days(weeks: float) -> int:
    return int(weeks * _DAYS_PER_WEEK + 1e-9)


def _usual_days(evidence: Evidence) -> float:
    """At least one, as purchases of one day are one."""
    return max(1.0, (evidence.usual_interval or 0.0) * _DAYS_PER_WEEK)
