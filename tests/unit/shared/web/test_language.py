"""Which language an answer is in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.language import preferred

SPOKEN = ("en", "zh-Hans")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("ZH-hans-cn", "zh-Hans"),
        ("zh-TW", "zh-Hans"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("fr, zh;q=0.1", "zh-Hans"),
        ("en;q=0.5, zh;q=0.9", "zh-Hans"),
        ("zh;q=0.5, en-US;q=0.501", "en"),
        ("zh , en", "zh-Hans"),
        ("zh; Q=0.8 , en ;q=0.8", "zh-Hans"),
        ("zh-TW;q=0.3, en;q=0.5, zh;q=0.7", "zh-Hans"),
        ("*", "en"),
        ("fr, *;q=0.1", "en"),
        ("en;q=0, *", "zh-Hans"),
        ("*;q=0.9, en;q=0.1", "zh-Hans"),
        ("en;q=0", "zh-Hans"),
        ("zh;q=0", "en"),
        ("en;q=0, zh;q=0.001", "zh-Hans"),
        (",, zh ,", "zh-Hans"),
    ],
)
def test_the_language_liked_best_is_spoken(header: str | None, language: str) -> None:
    assert preferred(header, SPOKEN) == language


@pytest.mark.parametrize(
    "header", ["zh;q=2", "zh;q=-1", "zh;q=x", "zh-", "中文", "zh;q=0.1234", "z h", "zh;level=1"]
)
def test_what_is_not_a_language_range_is_passed_over(header: str) -> None:
    assert preferred(header, SPOKEN) == "en"
    assert preferred(f"{header}, zh;q=0.1", SPOKEN) == "zh-Hans"


@given(
    st.text() | st.lists(st.sampled_from(["zh", "en-US", "*", "q", ";q=", "0.5", "1", ",", ";"])).map("".join)
)
def test_whatever_is_sent_gets_a_language_that_is_spoken(header: str) -> None:
    assert preferred(header, SPOKEN) in SPOKEN
