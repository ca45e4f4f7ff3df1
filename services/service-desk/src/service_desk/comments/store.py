"""Comments in the database."""

from uuid import UUID

from service_desk.comments.tables import Comment
from shared.db import Tx, rows

_INSERT = """
INSERT INTO ticket_comment (id, ticket_id, visibility, text, author, written_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_LIST = """
SELECT * FROM ticket_comment
WHERE ticket_id = $1 AND ($2 OR visibility = 'public') AND ($3::uuid IS NULL OR id > $3)
ORDER BY id LIMIT $4
"""


async def insert(tx: Tx, comment: Comment) -> None:
    """Add a comment to its ticket."""
    await tx.execute(
        _INSERT, comment.id, comment.ticket_id, comment.visibility, comment.text, comment.author,
        comment.written_at,
    )  # fmt: skip


async def list_comments(
    tx: Tx, ticket_id: UUID, after: UUID | None, limit: int, *, internal_too: bool
) -> list[Comment]:
    """A ticket's comments, oldest first."""
    return rows(Comment, await tx.fetch(_LIST, ticket_id, internal_too, after, limit))
