"""In which language to answer: `Accept-Language` with its quality values (RFC 9110, 12.5.4)."""

import re
from collections.abc import Sequence

_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?"
)


def preferred(accept_language: str | None, spoken: Sequence[str]) -> str:
    """Of the languages spoken here, as tags, the one the caller likes best; the first where none is liked.

    A range speaks for every variety of its language: who asks for `zh-TW` gets what there is of `zh`. Of
    languages liked equally the one named first is taken; one that is ruled out (`q=0`) comes after those not
    named. What is not a range is passed over: a language is a wish, not worth a refusal.
    """
    liked: dict[str, float] = {}
    for part in (accept_language or "").split(","):
        found = _RANGE.fullmatch(part)
        if found is not None:
            language = _language(found[1])
            liked[language] = max(liked.get(language, 0.0), min(float(found[2] or "1"), 1.0))
    named = [*liked]

    def rank(tag: str) -> tuple[float, int]:
        language = _language(tag)
        by = language if language in liked else "*"
        if by not in liked:
            return 0.0, len(named)
        return -liked[by] if liked[by] > 0 else 1.0, named.index(by)

    return min(spoken, key=rank)


def _language(tag: str) -> str:
    return tag.partition("-")[0].lower()
