"""Who may say what to whom about a ticket."""

from typing import Literal

from shared.errors import FieldError, Forbidden

Visibility = Literal["internal", "public"]


def visibility(wanted: Visibility | None, *, by_customer: bool) -> Visibility:
    """What a customer says is public; what the desk says is internal unless it says otherwise."""
    if not by_customer:
        return wanted or "internal"
    if wanted == "internal":
        raise Forbidden(
            "Internal comments are the desk's own; leave visibility out, or make it public.",
            errors=[FieldError("visibility", "must be public for a customer", wanted)],
        )
    return "public"
