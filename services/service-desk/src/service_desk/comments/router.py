"""Comments over HTTP."""

from typing import Annotated
from uuid import UUID

from starlette.responses import Response

from service_desk.comments import domain, store
from service_desk.comments.schemas import CommentView, WriteComment
from service_desk.comments.tables import Comment
from service_desk.tickets.store import require_visible
from shared.db import new_id
from shared.web.auth import Caller, Needs
from shared.web.deps import Db, Time
from shared.web.idempotency import Idempotency
from shared.web.paging import Page, Pages
from shared.web.routing import Router

router = Router(prefix="/v1/tickets/{ticket_id}/comments", tags=["comments"])


@router.post("", status_code=201, response_model=CommentView)
async def write_comment(
    ticket_id: UUID,
    body: WriteComment,
    caller: Annotated[Caller, Needs("tickets:open")],
    db: Db,
    clock: Time,
    idempotency: Idempotency,
) -> Response:
    """Say something about a ticket, to the desk alone or to the customer too."""
    visibility = domain.visibility(body.visibility, by_customer=caller.customer_id is not None)
    comment = Comment(
        id=new_id(),
        ticket_id=ticket_id,
        visibility=visibility,
        text=body.text,
        author=caller.id,
        written_at=clock.now(),
    )
    async with db.tx() as tx:
        await idempotency.begin(tx)
        await require_visible(tx, ticket_id, caller.customer_id)
        await store.insert(tx, comment)
        return await idempotency.answer(tx, CommentView.model_validate(comment), 201, version=1)


@router.get("")
async def list_comments(
    ticket_id: UUID, caller: Annotated[Caller, Needs("tickets:read")], db: Db, pages: Pages
) -> Page[CommentView]:
    """What was said about a ticket, oldest first; customers read what is public."""
    walk = pages.over("comments", ticket_id=ticket_id)
    (after,) = walk.after or (None,)
    async with db.read() as tx:
        await require_visible(tx, ticket_id, caller.customer_id)
        found = await store.list_comments(
            tx, ticket_id, after, walk.fetch, internal_too=caller.customer_id is None
        )
    return walk.page(found, CommentView.model_validate, key=lambda c: (c.id,))
