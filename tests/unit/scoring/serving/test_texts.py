"""Sentences: complete in every language, with figures, units and dates as the language writes them."""

import re
import tomllib
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from scoring.models import reasons
from scoring.models.loyalty import INDICATORS
from scoring.serving import texts
from scoring.serving.texts import LANGUAGES, Money, Said, say

HAN = re.compile(r"[\u4e00-\u9fff]")
PARTS = ("churn", "loyalty", "missing", "trend", "value", "more")


def read(language: str) -> dict[str, Any]:
    return tomllib.loads(Path(texts.__file__).with_name(f"texts.{language}.toml").read_text("utf-8"))


def sentences(language: str) -> dict[str, str]:
    found = read(language)
    assert {*found} - {*PARTS} <= {"date", "months", "units"}
    return {f"{part}.{name}": text for part in PARTS for name, text in found[part].items()}


def placeholders(text: str) -> list[tuple[str, str | None]]:
    return sorted((name, kind) for _, name, kind, _ in Formatter().parse(text) if name is not None)


def test_every_code_has_a_sentence() -> None:
    found = sentences("en")
    for code in (*reasons.CODES, "no_purchase_yet"):
        assert f"churn.{code}" in found
    for code in INDICATORS:
        assert f"loyalty.{code}" in found
        assert f"missing.{code}" in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_with_the_same_figures(language: str) -> None:
    ours, first = sentences(language), sentences(LANGUAGES[0])
    assert ours.keys() == first.keys()
    for name, text in ours.items():
        assert placeholders(text) == placeholders(first[name]), name
        for _, kind in placeholders(text):
            assert kind in {"number", "percent", "date", "money"} or kind in read(language)["units"], name


def test_every_unit_is_there_in_every_language_and_used() -> None:
    used = {kind for text in sentences("en").values() for _, kind in placeholders(text)}
    units = [set(read(language)["units"]) for language in LANGUAGES]
    assert units[0] == units[1] == used - {"number", "percent", "date", "money"}


def test_texts_are_in_their_own_language_and_are_sentences() -> None:
    for name, text in sentences("en").items():
        assert not HAN.search(text), name
        assert text.endswith(".") or name == "more.more"
    for name, text in sentences("zh-Hans").items():
        plain = "".join(words for words, *_ in Formatter().parse(text))
        assert HAN.search(plain), name
        assert not re.search(r"[A-Za-z,.;:!?]", plain), name
        assert plain.endswith("。") or name == "more.more"


def test_the_example_of_the_design_reads_well() -> None:
    said = Said("churn.silence", {"silence": 63, "usual": 21.0})
    assert say(said, "en") == "Last bought 63 days ago; this customer usually buys every 21 days."
    assert say(said, "zh-Hans") == "距上次购买已 63 天，而该客户通常每 21 天购买一次。"


@pytest.mark.parametrize(
    ("days", "english", "chinese"),
    [
        (0, "less than a day", "不到 1 天"),
        (1, "1 day", " 1 天"),
        (1.04, "1 day", " 1 天"),
        (1.5, "1.5 days", " 1.5 天"),
        (2, "2 days", " 2 天"),
        (9.96, "10 days", " 10 天"),
        (21.4, "21 days", " 21 天"),
        (1234, "1,234 days", " 1,234 天"),
    ],
)
def test_plurals_follow_the_figure_that_is_shown(days: float, english: str, chinese: str) -> None:
    said = Said("churn.complaint_open", {"age": days})
    assert say(said, "en") == f"A complaint has been open for {english}."
    assert say(said, "zh-Hans") == f"有一起投诉尚未解决，已持续{chinese}。"


@pytest.mark.parametrize("name", ["loyalty.time_of_buying", "churn.complaint_open_several"])
def test_in_chinese_no_space_stands_between_words(name: str) -> None:
    told = say(Said(name, {"silence": 0, "usual": 3.0, "open": 2, "age": 0}), "zh-Hans")
    assert "不到 1 天" in told
    assert not re.search(f"{HAN.pattern} {HAN.pattern}", told)


def test_dates_are_written_as_the_language_writes_them() -> None:
    said = Said("churn.rhythm", {"bought": 2, "first": date(2024, 3, 5), "average": 1.0})
    assert "since 5 March 2024;" in say(said, "en")
    assert "average customer would have bought on 1 day in" in say(said, "en")
    assert say(said, "zh-Hans").startswith("自 2024年3月5日以来有 2 天")


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (123456.4, "USD", "USD 1,234.56"),
        (5, "CNY", "CNY 0.05"),
        (0, "EUR", "EUR 0.00"),
        (123456, "JPY", "JPY 123,456"),
        (1234567, "KWD", "KWD 1,234.567"),
    ],
)
def test_money_has_the_digits_of_its_currency(minor: float, currency: str, shown: str) -> None:
    for language in LANGUAGES:
        said = Said("value.expected_amount", {"amount": Money(minor, currency)})
        assert shown in say(said, language)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.3, "30%"),
        (0.834, "83.4%"),
        (0.99996, "99.996%"),
        (0.0002, "0.02%"),
        (1e-12, "0%"),
    ],
)
def test_a_share_is_not_called_all_or_nothing_where_it_is_not(share: float, shown: str) -> None:
    assert say(Said("value.p_alive", {"probability": share}), "en").startswith(
        f"With a probability of {shown} "
    )
