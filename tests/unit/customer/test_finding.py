"""How a search is cut into pieces and compared."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer.archive.finding import fold, pieces, searchable, words


def finds(search: str, *texts: str) -> bool:
    """What the database does: the index narrows, then LIKE decides."""
    text = searchable(texts)
    return all(
        set(word.pieces) <= pieces(text) and re.sub(r"\\(.)", r"\1", word.pattern[1:-1]) in text
        for word in words(search)
    )


@pytest.mark.parametrize(
    ("search", "name"),
    [
        ("王", "王小明"),
        ("小明", "王小明"),
        ("王小明", "王小明"),
        ("科技", "北京华兴科技有限公司"),
        ("たなか", "たなか太郎"),
        ("김", "김철수"),
        ("smith", "John SMITH"),
        ("mit", "John Smith"),
        ("sm", "John Smith"),
        ("smith john", "John A. Smith"),
        ("muller", "Jörg Müller"),
        ("MÜLLER", "Jorg Muller"),
        ("strasse", "Bäckerei Straße 5"),
        ("иванов", "Пётр Иванов"),
        ("ＡＣＭＥ", "Acme Ltd"),
        ("100%", "100% Cotton"),
        ("a_b", "a_b"),
        ("\\", "back\\slash"),
    ],
)
def test_a_piece_of_a_name_finds_it(search: str, name: str) -> None:
    assert finds(search, name)


@pytest.mark.parametrize(
    ("search", "name"),
    [
        ("明小", "王小明"),
        ("smyth", "John Smith"),
        ("100%", "1000 Cotton"),
        ("a_b", "acb"),
        ("john x", "John"),
    ],
)
def test_what_is_not_in_a_name_does_not_find_it(search: str, name: str) -> None:
    assert not finds(search, name)


@pytest.mark.parametrize(
    "search", ["+1 202 555 0123", "(202) 555-0123", "5550123", "0123", "202.555", "0202 555 0123"]
)
def test_a_phone_number_or_a_piece_of_it_finds_it_however_it_is_written(search: str) -> None:
    assert finds(search, "Ann", "C-000007", "+12025550123")


@pytest.mark.parametrize("search", ["C-000007", "c-0000", "000007"])
def test_a_customer_number_or_a_piece_of_it_finds_it(search: str) -> None:
    assert finds(search, "Ann", "C-000007")


def test_a_short_latin_word_asks_the_index_for_nothing_but_is_still_compared() -> None:
    [word] = words("jo")
    assert (word.pattern, word.pieces) == ("%jo%", [])


def test_like_cannot_be_given_wildcards() -> None:
    assert [word.pattern for word in words("50%_\\")] == ["%50\\%\\_\\\\%"]


def test_no_more_than_eight_words_are_looked_for() -> None:
    assert len(words("a b c d e f g h i j")) == 8


@given(st.text(max_size=30), st.data())
def test_the_index_never_hides_what_the_text_contains(text: str, data: st.DataObject) -> None:
    folded = fold(text)
    start = data.draw(st.integers(0, len(folded)))
    end = data.draw(st.integers(start, len(folded)))
    for word in folded[start:end].split():
        assert pieces(word) <= pieces(folded)


@given(st.text(max_size=50))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)
