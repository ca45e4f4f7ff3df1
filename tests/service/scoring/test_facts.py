"""Facts from events: counted once each, in whichever order the topics come, many at a time."""

from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

from scoring.verify import verify
from shared.events.event import Event
from shared.events.service_desk import Outcome
from tests.service.scoring.conftest import (
    NOW,
    Scoring,
    cancelled,
    completed,
    created,
    opened,
    placed,
    resolved,
)

DAY = timedelta(days=1)


def life(who: UUID, dice: Random) -> list[list[Event]]:
    """A customer's events by topic, each topic in its order."""
    orders: list[Event] = []
    for _ in range(dice.randint(0, 5)):
        order = placed(who, NOW - timedelta(days=dice.uniform(0, 500)), dice.randint(0, 2000))
        orders.append(order)
        if dice.random() < 0.5:
            orders.append(dice.choice([completed, cancelled])(order, NOW))
    desk: list[Event] = []
    for _ in range(dice.randint(0, 3)):
        at = NOW - timedelta(days=dice.uniform(0, 500))
        ticket = opened(who, at, dice.choice(["complaint", "inquiry"]), dice.choice(["minor", "critical"]))
        desk.append(ticket)
        if dice.random() < 0.7:
            outcome: Outcome = dice.choice(["recovered", "mishandled"])
            desk.append(resolved(ticket, min(at + timedelta(days=dice.uniform(0, 90)), NOW), outcome))
    return [[created(who)], orders, desk]


async def test_batches_in_any_interleaving_and_repeated_give_the_same_states(scoring: Scoring) -> None:
    dice = Random(3)
    topics = [topic for _ in range(40) for topic in life(uuid4(), dice)]
    incomings = [scoring.incoming(*topic) for topic in topics]
    order = []
    while any(incomings):
        order.append(dice.choice([each for each in incomings if each]).pop(0))
    while order:
        size = dice.randint(1, 60)
        batch, order = order[:size], order[size:]
        await scoring.take_in(batch)
        if dice.random() < 0.3:
            await scoring.take_in(batch)
    assert await scoring.states_are_their_facts()
    assert await scoring.value("SELECT count(*) FROM parked_event") == 0
    assert await scoring.value("SELECT count(*) FROM held_event") == 0


async def test_an_event_counted_twice_counts_once(scoring: Scoring) -> None:
    who = uuid4()
    incomings = await scoring.tell(placed(who, NOW - DAY, 700))
    await scoring.take_in(incomings)
    assert await scoring.value("SELECT sum(amount_minor) FROM purchase_fact") == 700
    assert await scoring.states_are_their_facts()


async def test_a_state_that_is_not_its_facts_is_found(scoring: Scoring) -> None:
    wrong, lost, good = uuid4(), uuid4(), uuid4()
    await scoring.tell(*[placed(who, NOW - DAY) for who in (wrong, lost, good)])
    assert await scoring.states_are_their_facts()
    async with scoring.db.tx() as tx:
        await tx.execute("UPDATE customer_state SET state = '\\xff' WHERE customer_id = $1", wrong)
        await tx.execute("DELETE FROM customer_state WHERE customer_id = $1", lost)
    assert set((await verify(scoring.db)).different) == {wrong, lost}


async def test_an_order_of_two_customers_is_parked(scoring: Scoring) -> None:
    mine, theirs, order_id = uuid4(), uuid4(), uuid4()
    await scoring.tell(placed(mine, NOW - DAY, order_id=order_id))
    await scoring.tell(placed(theirs, NOW - DAY, order_id=order_id))
    error = await scoring.value("SELECT error FROM parked_event WHERE key = $1", str(theirs))
    assert f"belongs to customer {mine}" in error
    assert await scoring.states_are_their_facts()


async def test_one_bad_event_does_not_hold_up_others_of_its_batch(scoring: Scoring) -> None:
    mine, theirs, other, order_id = uuid4(), uuid4(), uuid4(), uuid4()
    await scoring.tell(
        placed(mine, NOW - DAY, order_id=order_id),
        placed(theirs, NOW - DAY, order_id=order_id),
        placed(other, NOW - DAY),
    )
    assert await scoring.value("SELECT count(*) FROM purchase_fact") == 2
    assert await scoring.value("SELECT count(*) FROM parked_event") == 1


async def test_sums_of_money_beyond_64_bits_park_their_customer_only(scoring: Scoring) -> None:
    who, other = uuid4(), uuid4()
    async with scoring.db.tx() as tx:
        await tx.execute(
            "INSERT INTO purchase_fact SELECT gen_random_uuid(), $1, 1, gen_random_uuid(), $2, 1e15, 1e15,"
            " true, 1, now() FROM generate_series(1, 20000)",
            who, NOW - DAY,
        )  # fmt: skip
    late = placed(who, NOW - 2 * DAY, 10**15)
    await scoring.tell(placed(who, NOW), late, placed(other, NOW))
    assert await scoring.value("SELECT count(*) FROM parked_event WHERE key = $1", str(who)) == 1
    assert await scoring.value("SELECT count(*) FROM parked_event WHERE key = $1", str(other)) == 0
