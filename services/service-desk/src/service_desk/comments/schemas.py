"""Requests about comments, and answers."""

from datetime import datetime
from uuid import UUID

from service_desk.comments.domain import Visibility
from shared.web.fields import Body, SomeText, View


class WriteComment(Body):
    """A remark. Without `visibility` the desk's is internal, a customer's public."""

    text: SomeText
    visibility: Visibility | None = None


class CommentView(View):
    """A remark, who made it, and who may read it."""

    id: UUID
    ticket_id: UUID
    visibility: Visibility
    text: str
    author: str
    written_at: datetime
