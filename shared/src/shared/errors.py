"""Every "no" of the product is one of these; domain rules raise them, `shared.web.problems` renders them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One rule that one value broke: `lines.0.quantity`, "must be at least 1", -3."""

    field: str
    rule: str
    value: object = None


class Refused(Exception):
    """A request that is understood and not done. `detail` says why, and what the caller can do next.

    `errors` names each field at fault; other keywords become members of the problem document;
    `headers` go out with the answer.
    """

    status: ClassVar[int] = 409
    type: ClassVar[str] = "conflict"
    title: ClassVar[str] = "Conflict"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def __str__(self) -> str:
        return "; ".join([self.detail, *(f"{e.field}: {e.rule}" for e in self.errors)])


class Malformed(Refused):
    """The request could not be read."""

    status = 400
    type = "malformed"
    title = "The request could not be read"


class MalformedJson(Malformed):
    """The body is not JSON."""

    type = "malformed-json"
    title = "The body is not valid JSON"


class Unauthenticated(Refused):
    """Who is asking is not known."""

    status = 401
    type = "unauthenticated"
    title = "Not authenticated"


class Forbidden(Refused):
    """Who is asking may not do this."""

    status = 403
    type = "forbidden"
    title = "Not allowed"


class NotFound(Refused):
    """No such thing, or none that the caller may see."""

    status = 404
    type = "not-found"
    title = "Not found"


class MethodNotAllowed(Refused):
    """The path exists, the method does not."""

    status = 405
    type = "method-not-allowed"
    title = "Method not allowed"


class Conflict(Refused):
    """The thing is in a state that does not allow this."""


class InProgress(Conflict):
    """The same request is being worked on right now."""

    type = "in-progress"
    title = "The same request is in progress"


class Stale(Refused):
    """Somebody else changed the thing since the caller read it."""

    status = 412
    type = "stale"
    title = "Changed by somebody else"


class TooLarge(Refused):
    """The body is larger than the route takes."""

    status = 413
    type = "too-large"
    title = "Request too large"


class UnsupportedMediaType(Refused):
    """The body is of a kind the route does not read."""

    status = 415
    type = "unsupported-media-type"
    title = "Unsupported media type"


class Invalid(Refused):
    """The request is readable, and breaks a rule; `errors` says which value broke which."""

    status = 422
    type = "invalid"
    title = "Invalid request"


class KeyReused(Invalid):
    """An Idempotency-Key came back with another request."""

    type = "idempotency-key-reused"
    title = "Idempotency-Key used for another request"


class PreconditionRequired(Refused):
    """A change needs to say which version it changes."""

    status = 428
    type = "precondition-required"
    title = "Precondition required"


class Failed(Refused):
    """A defect of ours; nothing about it is shown."""

    status = 500
    type = "internal-error"
    title = "Internal error"


class Unavailable(Refused):
    """Something this needs is away; trying again later may succeed."""

    status = 503
    type = "unavailable"
    title = "Temporarily unavailable"
