"""What should not come, and does: each has one outcome, stated in docs/scoring.md; nothing is lost.

Elsewhere: a worker's clock that jumps back (test_bands), an order of two customers and sums beyond 64 bits
(test_facts), records that are no events at all (bus/test_inbox), what readers may not ask (test_reading).
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from scoring.bands.restating import restate
from shared.bus import parking
from shared.bus.reading import Incoming
from shared.db import new_id
from shared.events.event import Event
from shared.events.scoring import ScoreRestated
from shared.events.service_desk import Spell, TicketReopened
from tests.service.scoring.conftest import (
    NOW,
    Scoring,
    cancelled,
    created,
    opened,
    order,
    placed,
    read,
    resolved,
)

DAY = timedelta(days=1)


def said_otherwise(scoring: Scoring, event: Event, said: dict[str, Any], **headers: str) -> Incoming:
    """The event as another system may publish it: with other values at these paths, other headers."""
    (genuine,) = scoring.incoming(event)
    data = json.loads(genuine.value or b"")
    for path, value in said.items():
        at = data
        *way, last = path.split(".")
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        at[int(last) if isinstance(at, list) else last] = value
    value = json.dumps(data).encode()
    return scoring.inbox.read(Incoming(genuine.topic, genuine.headers | headers, value))


async def parked_of(scoring: Scoring, who: UUID) -> list[tuple[str, int, str | None]]:
    """What waits of a customer: state, sequence, reason."""
    async with scoring.db.read() as tx:
        return [(p.state, p.seq or 0, p.error) for p in await parking.list_parked(tx, key=str(who))]


def bought(who: UUID) -> Event:
    return placed(who, NOW - 9 * DAY)


def complained(who: UUID) -> Event:
    return resolved(opened(who, NOW - 9 * DAY), NOW - 5 * DAY, "recovered")


@pytest.mark.parametrize(
    ("event", "said", "headers", "reason"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("a negative amount", bought, {"order.total_minor": -500}, {}, "order.total_minor -500:"),
            ("an amount above 10^15", bought, {"order.total_minor": 10**16}, {}, "order.total_minor 1000"),
            ("an amount with decimals", bought, {"order.total_minor": 9.99}, {}, "order.total_minor 9.99:"),
            ("another currency", bought, {"order.currency": "EUR"}, {}, "order.currency 'EUR' is not USD"),
            (
                "a purchase a century ahead", bought, {"order.ordered_at": "2126-03-01T12:00:00Z"}, {},
                "order.ordered_at 2126-03-01T12:00:00+00:00 is more than a day after the event",
            ),
            (
                "a date that was never set", bought, {"order.ordered_at": "0001-01-01T00:00:00Z"}, {},
                "order.ordered_at 0001-01-01T00:00:00+00:00 is before 1900",
            ),
            (
                "an event that was never dated", created, {}, {"ce_time": "0001-01-01T00:00:00Z"},
                "ce_time 0001-01-01T00:00:00+00:00 is before 1900",
            ),
            (
                "an event dated in a wrong unit", created, {}, {"ce_time": "9999-12-31T23:59:59Z"},
                "ce_time 9999-12-31T23:59:59+00:00 is after 8999",
            ),
            (
                "an instant without an offset", bought, {"order.ordered_at": "2026-02-20T12:00:00"}, {},
                "order.ordered_at 2026-02-20T12:00:00 has no offset",
            ),
            ("a status nobody knows", bought, {"order.status": "refunded"}, {}, "order.status 'refunded'"),
            ("a version beyond 32 bits", bought, {"order.version": 2**40}, {}, "order.version 1099511627776"),
            ("a field that is missing", bought, {"order": {}}, {}, "order: Object missing required field"),
            (
                "a version of the event that is not known", bought, {}, {"ce_type": "orders.order_placed.v9"},
                "deploy the newer consumer",
            ),
            (
                "the envelope of another customer", bought, {"customer_id": str(UUID(int=1))}, {},
                f"it is about {UUID(int=1)}",
            ),
            ("a ticket that was never open", complained, {"ticket.spells": []}, {}, "it has no spells"),
            (
                "a ticket opened twice at once", complained,
                {"ticket.spells": [{"opened_at": "2026-02-01T12:00:00Z"}] * 2}, {},
                "only the last of ticket.spells may have no resolved_at",
            ),
            (
                "a complaint resolved next year", complained,
                {"ticket.spells.0.resolved_at": "2027-01-01T12:00:00Z"}, {},
                "ticket.spells.resolved_at 2027-01-01T12:00:00+00:00 is more than a day after",
            ),
        ]
    ],
)  # fmt: skip
async def test_what_cannot_be_true_waits_with_its_reason_and_counts_once_it_is_put_right(
    scoring: Scoring,
    event: Callable[[UUID], Event],
    said: dict[str, Any],
    headers: dict[str, str],
    reason: str,
) -> None:
    who, other = uuid4(), uuid4()
    right = event(who)
    wrong = said_otherwise(scoring, right, said, **headers)
    topic = wrong.topic
    behind = scoring.incoming(bought(who) if topic == "patron.orders" else opened(who, NOW - DAY))
    await scoring.take_in([wrong, *behind, *scoring.incoming(bought(other))])
    waiting = await parked_of(scoring, who)
    assert [(state, seq) for state, seq, _ in waiting if state == "parked"] == [("parked", 1)]
    assert reason in (waiting[0][2] or "")
    assert "`parked edit`" in (waiting[0][2] or "")
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", other) == 1
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", who) in (0, 1)
    async with scoring.db.tx() as tx:
        (found,) = [p for p in await parking.list_parked(tx, key=str(who)) if p.state == "parked"]
        meant = said_as_meant(scoring, right, wrong)
        left = await parking.edit(
            tx, scoring.inbox, found.id or 0, headers=meant.headers, value=meant.value or b"",
            actor="ann", reason="as it was meant",
        )  # fmt: skip
    assert left == []
    assert await scoring.states_are_their_facts()


def said_as_meant(scoring: Scoring, event: Event, wrong: Incoming) -> Incoming:
    """The event as it was meant, in the place of the wrong one."""
    (genuine,) = scoring.incoming(event)
    place = {"ce_sequence": wrong.headers["ce_sequence"]}
    return Incoming(genuine.topic, genuine.headers | place, genuine.value)


async def test_a_date_as_late_as_any_that_is_taken_is_counted_and_read(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, late = uuid4(), datetime(8999, 12, 31, 23, tzinfo=UTC)
    await scoring.take_in([said_otherwise(scoring, placed(who, late), {}, ce_time=late.isoformat())])
    assert await scoring.look(datetime.now(UTC) - scoring.clock.now()) == 1
    assert (await read(analyst, who))["p_alive"] == 1
    assert await scoring.states_are_their_facts()


async def test_an_event_without_a_key_is_parked_alone_and_stops_nobody(scoring: Scoring) -> None:
    who = uuid4()
    for key in ("", "k" * 201):
        await scoring.take_in([said_otherwise(scoring, bought(uuid4()), {}, ce_partitionkey=key)])
    await scoring.tell(bought(who))
    async with scoring.db.read() as tx:
        waiting = await parking.list_parked(tx)
    assert [(p.key, p.state) for p in waiting] == [(None, "parked")] * 2
    assert all("it stops nothing else" in (p.error or "") for p in waiting)
    assert await scoring.value("SELECT count(*) FROM stream_progress WHERE key = ''") == 0
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", who) == 1


async def test_a_kind_of_event_that_nobody_knows_is_passed_over_and_its_customer_goes_on(
    scoring: Scoring,
) -> None:
    who = uuid4()
    await scoring.take_in(
        [
            said_otherwise(scoring, bought(who), {}, ce_type="orders.refund_made.v1"),
            *scoring.incoming(bought(who)),
        ]
    )
    assert await parked_of(scoring, who) == []
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE customer_id = $1", who) == 1


async def test_a_purchase_before_the_customer_existed_counts_from_its_own_date(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    early, known = uuid4(), uuid4()
    await scoring.tell(created(early), placed(early, NOW - 100 * DAY), placed(early, NOW - 50 * DAY))
    await scoring.tell(placed(known, NOW - 100 * DAY), placed(known, NOW - 50 * DAY))
    assert (await read(analyst, early))["p_alive"] == (await read(analyst, known))["p_alive"]


async def test_a_purchase_ahead_of_the_clock_counts_and_time_stands_still_until_then(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 30 * DAY), placed(who, NOW + DAY))
    now = await read(analyst, who)
    await scoring.look()
    scoring.clock.advance(DAY)
    then = await read(analyst, who)
    assert then["p_alive"] == now["p_alive"]
    scoring.clock.advance(30 * DAY)
    assert (await read(analyst, who))["p_alive"] < now["p_alive"]


async def test_the_largest_amount_is_counted_exactly(scoring: Scoring, analyst: httpx.AsyncClient) -> None:
    who = uuid4()
    await scoring.tell(*[placed(who, NOW - days * DAY, amount=10**15) for days in (30, 20, 10)])
    assert await scoring.value("SELECT sum(amount_minor)::text FROM purchase_fact") == str(3 * 10**15)
    assert (await read(analyst, who))["value_minor"] > 0
    assert await scoring.states_are_their_facts()


async def test_an_order_cancelled_twice_is_cancelled_once(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, gone = uuid4(), placed(uuid4(), NOW - 20 * DAY)
    kept = placed(who, NOW - 40 * DAY)
    await scoring.tell(kept)
    before = await read(analyst, who)
    gone = placed(who, NOW - 20 * DAY)
    once = cancelled(gone, NOW - DAY)
    again = once.__class__(
        customer_id=who,
        order=order(gone.order.ordered_at, 1000, gone.order.id, 3, "cancelled"),
        cancelled_at=NOW,
    )
    await scoring.tell(gone, once, again, once)
    after = await read(analyst, who)
    assert after["churn"] == before["churn"]
    assert await parked_of(scoring, who) == []


async def test_a_refund_of_an_order_nobody_knows_takes_nothing_away(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    await scoring.tell(placed(who, NOW - 40 * DAY))
    before = await read(analyst, who)
    await scoring.tell(cancelled(placed(who, NOW - 20 * DAY), NOW))
    assert (await read(analyst, who))["churn"] == before["churn"]
    assert await scoring.value("SELECT count(*) FROM purchase_fact WHERE NOT counts") == 1, "it is kept"


async def test_an_order_cancelled_before_it_was_placed_stays_cancelled(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    bought_once = placed(who, NOW - 20 * DAY)
    await scoring.tell(cancelled(bought_once, NOW), bought_once)
    assert (await read(analyst, who))["p_alive"] is None
    assert await parked_of(scoring, who) == []


async def test_a_complaint_of_an_unknown_customer_is_kept_for_when_they_are_known(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who, calm = uuid4(), uuid4()
    await scoring.tell(opened(who, NOW - 10 * DAY))
    assert (await read(analyst, who))["p_alive"] is None
    await scoring.tell(created(who), placed(who, NOW - 40 * DAY), placed(calm, NOW - 40 * DAY))
    assert (await read(analyst, who))["p_alive"] < (await read(analyst, calm))["p_alive"]


async def test_a_complaint_resolved_before_it_was_opened_was_open_for_no_time(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    crossed, at_once = uuid4(), uuid4()
    for who, hours in ((crossed, -5), (at_once, 0)):
        complaint = opened(who, NOW - 20 * DAY)
        done = resolved(complaint, NOW - 20 * DAY + timedelta(hours=hours), "mishandled")
        await scoring.tell(placed(who, NOW - 40 * DAY), complaint, done)
        assert await parked_of(scoring, who) == []
    assert (await read(analyst, crossed))["p_alive"] == (await read(analyst, at_once))["p_alive"]


async def test_a_complaint_reopened_after_its_resolution_is_open_again(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    who = uuid4()
    complaint = opened(who, NOW - 20 * DAY)
    done = resolved(complaint, NOW - 10 * DAY, "recovered")
    await scoring.tell(placed(who, NOW - 40 * DAY), complaint, done)
    recovered = (await read(analyst, who))["p_alive"]
    again = done.ticket.__class__(
        id=done.ticket.id, version=3, number="T-1", kind="complaint", severity="major", status="open",
        spells=(*done.ticket.spells, Spell(opened_at=NOW - 5 * DAY)),
    )  # fmt: skip
    await scoring.tell(TicketReopened(customer_id=who, ticket=again))
    assert (await read(analyst, who))["p_alive"] < recovered
    assert await scoring.states_are_their_facts()


async def test_an_event_ten_years_late_counts_as_if_it_had_come_in_time_and_is_told(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    late, prompt = uuid4(), uuid4()
    first, second = NOW - 3652 * DAY, NOW - 30 * DAY
    await scoring.tell(placed(late, second))
    await scoring.tell(placed(late, first))
    await scoring.tell(placed(prompt, first), placed(prompt, second))
    assert (await read(analyst, late))["p_alive"] == (await read(analyst, prompt))["p_alive"]
    assert await scoring.states_are_their_facts()
    assert [await restate(scoring.db, scoring.clock, scoring.settings) for _ in range(2)] == [1, 0]
    (told,) = [e for e in await scoring.events() if isinstance(e, ScoreRestated)]
    assert (told.customer_id, told.before.purchases, told.after.purchases) == (late, 1, 2)


async def test_what_comes_again_under_its_sequence_is_the_same_whatever_it_says(scoring: Scoring) -> None:
    who = uuid4()
    (first,) = await scoring.tell(placed(who, NOW - DAY, 700))
    again = said_otherwise(
        scoring, placed(who, NOW - DAY, 900), {}, ce_sequence="1", ce_id=first.headers["ce_id"]
    )
    await scoring.take_in([again])
    assert await scoring.value("SELECT sum(amount_minor) FROM purchase_fact") == 700


async def test_an_order_told_anew_with_other_content_needs_a_higher_version(scoring: Scoring) -> None:
    who, order_id = uuid4(), new_id()
    await scoring.tell(placed(who, NOW - DAY, 700, order_id))
    await scoring.tell(placed(who, NOW - DAY, 700, order_id))
    assert await parked_of(scoring, who) == [], "it says the same"
    await scoring.tell(placed(who, NOW - DAY, 900, order_id))
    ((state, seq, reason),) = await parked_of(scoring, who)
    assert (state, seq) == ("parked", 3)
    assert f"version 1 of the purchase {order_id} is known" in (reason or "")
    assert "a correction has a higher version" in (reason or "")
    assert await scoring.value("SELECT sum(amount_minor) FROM purchase_fact") == 700


async def test_a_publisher_s_clock_that_jumps_back_changes_nothing(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    jumped, steady = uuid4(), uuid4()
    for who, back in ((jumped, DAY), (steady, 0 * DAY)):
        bought_once = placed(who, NOW - 30 * DAY)
        await scoring.tell(created(who), bought_once)
        scoring.clock.advance(-back)
        await scoring.tell(placed(who, NOW - 20 * DAY), cancelled(bought_once, NOW))
        scoring.clock.advance(back)
    assert (await read(analyst, jumped))["p_alive"] == (await read(analyst, steady))["p_alive"]
    assert await scoring.states_are_their_facts()


async def test_a_hundred_thousand_events_of_one_customer_are_counted_and_hold_nobody_up(
    scoring: Scoring, analyst: httpx.AsyncClient
) -> None:
    many, other = uuid4(), uuid4()
    bought_again = (placed(many, NOW - timedelta(minutes=90_000 - n)) for n in range(89_000))
    complaints = (opened(many, NOW - timedelta(minutes=1000)) for _ in range(10_000))
    bought_since = (placed(many, NOW - timedelta(minutes=990 - n)) for n in range(990))
    late = (placed(many, NOW - timedelta(days=365, minutes=n)) for n in range(10))
    for events in (bought_again, complaints, bought_since, late):
        waiting = scoring.incoming(*events)
        for start in range(0, len(waiting), 1000):
            await scoring.take_in(waiting[start : start + 1000])
    await scoring.take_in(scoring.incoming(placed(many, NOW), placed(other, NOW)))
    score = await read(analyst, many)
    assert score["progress"] == {"orders": 90_001, "service_desk": 10_000}
    assert 0 <= score["churn"]["probability"] <= 1
    assert await scoring.look() == 2
    assert (await analyst.get(f"/v1/scores/{many}/receipt")).status_code == 200
    assert await scoring.states_are_their_facts()
