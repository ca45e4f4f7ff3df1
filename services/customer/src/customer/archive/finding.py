"""How a customer is found by a piece of a name, phone or number, in any script.

Every word is cut into pieces: of three letters, and where it is written in ideographs, kana or hangul, which
say more in less, of one and two as well. A customer that contains a word has all the pieces of that word, so
an index over the pieces narrows the search to a few, whatever the database's locale; comparing the text then
decides.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

_PHONE_LIKE = re.compile(r"\+?[\d\s()./-]+")
_FEWEST_DIGITS = 4
_MOST_WORDS = 8
_DENSE = re.compile(
    "[\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)


def fold(text: str) -> str:
    """The text without what people leave out or vary when they search: case, accents, width, spacing."""
    apart = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in apart if unicodedata.category(char) != "Mn")
    return " ".join(unicodedata.normalize("NFKC", bare).casefold().split())


def searchable(texts: Iterable[str]) -> str:
    """What is compared with a search: the folded texts, one a line."""
    return "\n".join(fold(text) for text in texts)


def pieces(text: str) -> set[str]:
    """The pieces of every word of a folded text."""
    found: set[str] = set()
    for word in text.split():
        found.update(word[at : at + 3] for at in range(len(word) - 2))
        if _DENSE.search(word):
            found.update(_DENSE.findall(word))
            pairs = (word[at : at + 2] for at in range(len(word) - 1))
            found.update(pair for pair in pairs if _DENSE.search(pair))
    return found


class Word(NamedTuple):
    """One word that must occur somewhere in the text of what is found."""

    pattern: str
    """For LIKE."""
    pieces: list[str]
    """What the index is asked for; none when the word is too short to be cut."""


def words(search: str) -> list[Word]:
    """All that a search asks for, in any order; a phone number is one word, however it is written."""
    digits = re.sub(r"\D", "", search).lstrip("0")
    if _PHONE_LIKE.fullmatch(search.strip()) and len(digits) >= _FEWEST_DIGITS:
        return [_word(digits)]
    return [_word(word) for word in fold(search).split()[:_MOST_WORDS]]


def _word(word: str) -> Word:
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    return Word(f"%{escaped}%", sorted(pieces(word)))
