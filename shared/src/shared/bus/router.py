"""The event path over HTTP: what was published of a key, and what waits for a person."""

from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from fastapi import Depends, Path, Query, Request

from shared.bus import outbox, parking
from shared.bus.inbox import Inbox
from shared.bus.tables import ParkedEvent
from shared.web.auth import Caller, Needs
from shared.web.deps import Db
from shared.web.fields import Body, Name, View
from shared.web.routing import Router

router = Router(prefix="/v1", tags=["events"])


class EventView(View):
    """An event as it goes over Kafka: CloudEvents headers, and its data."""

    seq: int
    headers: dict[str, str]
    data: Any


class EventsView(View):
    """A key's events in order; `after_seq` of the next request is the last one's `seq`."""

    items: list[EventView]


class ParkedView(View):
    """An event that could not be applied (`parked`), or one that waits behind it (`queued`)."""

    id: int
    state: str
    error: str | None
    topic: str
    partition: int | None
    offset: int | None
    key: str | None
    seq: int | None
    headers: dict[str, str]
    value: str | None
    parked_at: datetime
    closed_at: datetime | None
    actor: str | None
    reason: str | None

    @classmethod
    def of(cls, event: ParkedEvent) -> "ParkedView":
        """As people read it: bytes that are not text are shown with replacement characters."""
        value = None if event.value is None else event.value.decode("utf-8", "replace")
        return cls(**event.model_dump(exclude={"raw_key", "value"}), value=value)


class ParkedList(View):
    """What waits, oldest first; `after_id` of the next request is the last one's `id`."""

    items: list[ParkedView]


class Decision(Body):
    """Why somebody decided so; kept with the event."""

    reason: Name


class EditParked(Decision):
    """What to apply in its place."""

    headers: dict[str, str]
    data: dict[str, Any]


async def _inbox(request: Request) -> Inbox:
    return cast(Inbox, request.app.state.inbox)


ServiceInbox = Annotated[Inbox, Depends(_inbox)]
ParkedId = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("/events")
async def list_events(
    _caller: Annotated[Caller, Needs("events:read")],
    db: Db,
    topic: Annotated[str, Query(max_length=200)],
    key: Annotated[str, Query(max_length=200)],
    after_seq: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> EventsView:
    """What this service published of a key after a sequence number, for a consumer that missed some."""
    async with db.read() as tx:
        found = await outbox.list_after(tx, topic, key, after_seq, limit)
    return EventsView(
        items=[EventView(seq=p.seq, headers=p.headers, data=msgspec.json.decode(p.payload)) for p in found]
    )


@router.get("/parked")
async def list_parked(
    _caller: Annotated[Caller, Needs("parked:read")],
    db: Db,
    key: Annotated[str | None, Query(max_length=200)] = None,
    after_id: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ParkedList:
    """The events that wait for a person, with the error that stopped them."""
    async with db.read() as tx:
        return _views(await parking.list_parked(tx, after_id=after_id, key=key, limit=limit))


@router.get("/parked/{parked_id}")
async def get_parked(
    parked_id: ParkedId, _caller: Annotated[Caller, Needs("parked:read")], db: Db
) -> ParkedView:
    """One of them, also after it was dealt with."""
    async with db.read() as tx:
        return ParkedView.of(await parking.get(tx, parked_id))


@router.post("/parked/{parked_id}/retry")
async def retry_parked(
    parked_id: ParkedId,
    body: Decision,
    caller: Annotated[Caller, Needs("parked:write")],
    db: Db,
    inbox: ServiceInbox,
) -> ParkedList:
    """Apply it again, then all that waits behind it; answers what is parked for the key afterwards."""
    async with db.tx() as tx:
        left = await parking.retry(tx, inbox, parked_id, actor=caller.id, reason=body.reason)
    return _views(left)


@router.post("/parked/{parked_id}/edit")
async def edit_parked(
    parked_id: ParkedId,
    body: EditParked,
    caller: Annotated[Caller, Needs("parked:write")],
    db: Db,
    inbox: ServiceInbox,
) -> ParkedList:
    """Apply something else in its place, then all that waits behind it."""
    async with db.tx() as tx:
        value = msgspec.json.encode(body.data)
        left = await parking.edit(
            tx, inbox, parked_id, headers=body.headers, value=value, actor=caller.id, reason=body.reason
        )
    return _views(left)


@router.post("/parked/{parked_id}/discard")
async def discard_parked(
    parked_id: ParkedId,
    body: Decision,
    caller: Annotated[Caller, Needs("parked:write")],
    db: Db,
    inbox: ServiceInbox,
) -> ParkedList:
    """Give it up: its key goes on without it."""
    async with db.tx() as tx:
        left = await parking.discard(tx, inbox, parked_id, actor=caller.id, reason=body.reason)
    return _views(left)


def _views(events: list[ParkedEvent]) -> ParkedList:
    return ParkedList(items=[ParkedView.of(event) for event in events])
