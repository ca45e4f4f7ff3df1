"""Receipts: they add up, cite, and say in words what the figures stand on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.care.domain import PUBLISHED
from scoring.facts.domain import DAY, Complaint, Fact, Purchase, Spell
from scoring.facts.reading import micros
from scoring.models.complaints import MISHANDLED, OPEN, RECOVERED
from scoring.models.loyalty import INDICATORS, Evidence, Indicator, Weights, loyalty
from scoring.serving import wording
from scoring.serving.domain import Reason
from scoring.serving.past import citations_of, known_of
from scoring.serving.receipts import Cited, Receipt, receipt
from scoring.serving.texts import LANGUAGES, Said, say
from shared.testing import FixedClock

WHO = UUID(int=7)
NOW = FixedClock().at
MANY = 30


def ago(days: float) -> int:
    return micros(NOW) - round(days * DAY)


def purchase(days: float, amount: int = 1000, list_amount: int = 1000, counts: bool = True) -> Purchase:
    at = ago(days)
    own = uuid5(WHO, f"purchase {at} {amount}")
    return Purchase(own, WHO, 1, uuid5(own, "event"), at, amount, list_amount, counts)


def complaint(opened: float, resolved: float | None = None, outcome: int = OPEN) -> Complaint:
    own = uuid5(WHO, f"complaint {opened} {resolved}")
    spell = Spell(ago(opened), None if resolved is None else ago(resolved), outcome)
    return Complaint(own, WHO, 1, uuid5(own, "event"), 2, True, (spell,))


def made(facts: Sequence[Fact], now: datetime = NOW, weights: Weights | None = None) -> Receipt:
    served = PUBLISHED if weights is None else replace(PUBLISHED, loyalty_weights=weights)
    found = receipt(known_of(WHO, facts), citations_of(facts), served, 90, 90, "USD", now)
    assert isinstance(found, Receipt)
    return found


def told(found: Receipt, code: str, language: str = "en") -> str:
    return say(next(line.reason.said for line in found.reasons if line.reason.code == code), language)


def everything_said(found: Receipt) -> Iterator[Said]:
    yield from (line.reason.said for line in found.reasons)
    yield from (line.said for line in found.indicators)
    for line in found.value:
        yield line.said
        yield from (addend.said for addend in line.addends)


days = st.floats(0, 3000)
lives = st.tuples(
    st.lists(
        st.builds(purchase, days, st.integers(0, 10**15), st.integers(0, 10**15)), min_size=1, max_size=8
    ),
    st.lists(
        st.builds(complaint, days)
        | st.tuples(days, days, st.sampled_from([OPEN, MISHANDLED, RECOVERED])).map(
            lambda t: complaint(max(t[:2]), min(t[:2]), t[2])
        ),
        max_size=4,
    ),
).map(lambda life: [*life[0], *life[1]])


@settings(max_examples=150, deadline=None)
@given(lives)
def test_everything_adds_up(life: list[Fact]) -> None:
    found = made(life)
    score = found.score
    contributions = sum(line.reason.contribution for line in found.reasons)
    assert contributions == pytest.approx(score.log_odds, abs=1e-9)
    assert sum(line.indicator.points for line in found.indicators) == pytest.approx(
        score.loyalty.index, abs=1e-9
    )
    product = 1.0
    for line in found.value:
        product *= line.value
        if line.addends:
            assert sum(addend.value for addend in line.addends) == pytest.approx(line.value, rel=1e-12)
    assert product == pytest.approx(found.product, rel=1e-12)
    assert score.value_minor == pytest.approx(found.product, abs=0.5, rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(lives)
def test_whatever_happened_is_said_in_every_language(life: list[Fact]) -> None:
    for said in everything_said(made(life)):
        english, chinese = (say(said, language) for language in LANGUAGES)
        assert not re.search(r"[{}|#]|None|nan|inf\b|-\d", english + chinese)
        assert re.fullmatch(r"[\x20-\x7e]+\.", english)
        assert not re.search(r"[A-Za-z]", chinese.replace("USD", ""))


@settings(max_examples=50, deadline=None)
@given(lives)
def test_every_observed_line_about_the_customer_cites_events_that_happened(life: list[Fact]) -> None:
    events = {fact.event_id for fact in life}
    found = made(life)
    cited = [(line.reason.code, line.cited) for line in found.reasons if line.reason.code != "base"]
    cited += [(line.code, line.cited) for line in found.indicators if line.indicator.observed]
    for code, by in cited:
        assert by.events, code
        assert set(by.events) <= events
        assert by.total >= len(by.events)


def test_what_is_too_much_to_list_is_counted() -> None:
    found = made(
        [*[purchase(5 * n + 1, 900) for n in range(MANY)], *[complaint(n + 1, n, 1) for n in range(12)]]
    )
    rhythm = next(line.cited for line in found.reasons if line.reason.code == "rhythm")
    assert (len(rhythm.events), rhythm.total, rhythm.more) == (10, MANY, MANY - 10)
    price = next(line.cited for line in found.indicators if line.code == "price_insensitivity")
    assert (len(price.events), price.more) == (10, MANY - 10)
    bad = next(line.cited for line in found.reasons if line.reason.code == "complaint_mishandled")
    assert (len(bad.events), bad.total) == (10, 12)
    assert bad.events[0] == complaint(1, 0, 1).event_id, "the newest comes first"


def test_the_price_is_judged_by_the_discounted_purchases_or_by_all_where_there_are_none() -> None:
    cheap, full = purchase(20, 900), purchase(10)
    cited = {line.code: line.cited for line in made([cheap, full]).indicators}
    assert cited["price_insensitivity"] == Cited([cheap.event_id], 1)
    cited = {line.code: line.cited for line in made([full]).indicators}
    assert cited["price_insensitivity"] == Cited([full.event_id], 1)
    assert cited["wallet_share"] == Cited()


def test_without_a_purchase_that_counts_there_is_no_receipt_but_a_reason() -> None:
    for facts in ([], [complaint(3)], [purchase(9, counts=False), purchase(3, counts=False)]):
        known = known_of(WHO, facts)
        found = receipt(known, citations_of(facts), PUBLISHED, 90, 90, "USD", NOW)
        assert isinstance(found, Reason)
        assert (found.code, found.contribution, found.kind) == ("no_purchase_yet", 0, None)


def test_purchases_for_nothing_are_worth_what_all_customers_make_them_worth() -> None:
    found = made([purchase(60, 0, 0), purchase(30, 0, 0)])
    amount = next(line for line in found.value if line.code == "expected_amount")
    own, of_all = amount.addends
    assert own.value == 0
    assert amount.value == of_all.value > 0
    assert "spent USD 0.00 on average" in say(own.said, "en")


def test_points_follow_the_weights_served() -> None:
    weights = Weights(5, **dict.fromkeys(INDICATORS, 0.0) | {"repeat_rate": 0.2, "time_of_buying": 0.6})
    found = made([purchase(60), purchase(30)], weights=weights)
    points = {line.code: line.indicator.points for line in found.indicators}
    assert points["time_of_buying"] == pytest.approx(75)
    assert points["price_insensitivity"] == 0
    assert found.score.loyalty.weights_version == 5
    assert found.score.loyalty.coverage == pytest.approx(1)


def test_silence_is_told_against_the_customers_own_rhythm() -> None:
    assert told(made([purchase(105), purchase(84), purchase(63)]), "silence") == (
        "Last bought 63 days ago; this customer usually buys every 21 days."
    )
    assert told(made([purchase(63)]), "silence") == "Bought on one day only so far, 63 days ago."
    assert told(made([purchase(21), purchase(0.5)]), "silence") == "Last bought less than a day ago."


def test_rhythm_is_told_against_an_average_customer() -> None:
    weekly_rate = PUBLISHED.model.purchase.r / PUBLISHED.model.purchase.alpha
    found = made([purchase(700), purchase(350)])
    average = 1 + 100 * weekly_rate
    assert f"Bought on 2 days since {ago_in_words(700)}; an average customer" in told(found, "rhythm")
    assert f"would have bought on {average:.1f} days in that time" in told(found, "rhythm")


def ago_in_words(days: float) -> str:
    at = datetime.fromtimestamp(ago(days) / 1e6, NOW.tzinfo)
    return f"{at.day} {at:%B} {at.year}"


@pytest.mark.parametrize(
    ("complaints", "code", "sentence"),
    [
        ([complaint(3)], "complaint_open", "A complaint has been open for 3 days."),
        ([complaint(3), complaint(9)], "complaint_open", "2 complaints are open, the oldest for 9 days."),
        (
            [complaint(9, 3, MISHANDLED)],
            "complaint_open",
            "No complaint is open now, but 1 complaint once stood open for a time.",
        ),
        (
            [complaint(9, 3, MISHANDLED), complaint(20, 5, MISHANDLED)],
            "complaint_mishandled",
            "A complaint was resolved badly 3 days ago.",
        ),
        (
            [complaint(600, 500, MISHANDLED)],
            "complaint_mishandled",
            "A complaint was resolved badly before the last purchase.",
        ),
        (
            [complaint(9, 0.2, RECOVERED)],
            "complaint_recovered",
            "A complaint was resolved well less than a day ago.",
        ),
        (
            [complaint(600, 500, RECOVERED)],
            "complaint_recovered",
            "A complaint was resolved well before the last purchase.",
        ),
    ],
)
def test_complaints_are_told_as_they_stand(complaints: list[Fact], code: str, sentence: str) -> None:
    assert told(made([purchase(700), purchase(30), *complaints]), code) == sentence


def test_evidence_that_no_event_brings_yet_has_its_sentence() -> None:
    evidence = Evidence(0.6, 2, 5, 1, 2, 1, 0.7, 0.8, 0.9, 3.0, 9.0)
    indicators = loyalty(0.5, evidence).indicators
    said = {code: say(wording.of_indicator(code, indicators[code], evidence), "en") for code in INDICATORS}
    assert said == {
        "repeat_rate": "Buys at least as often as 50% of all customers.",
        "time_of_buying": "The last purchase was 63 days ago, against a usual 21 days between purchases.",
        "wallet_share": "60% of what the customer spends on such goods is spent here.",
        "referrals": "2 other customers came on this customer's recommendation.",
        "price_insensitivity": "1 of 5 purchases cost less than the list price.",
        "fault_tolerance": "Bought again after 1 of 2 complaints.",
        "speed_of_choosing": "The speed with which the customer chooses was rated 70%.",
        "attitude_to_competitors": "The customer's preference for us over competitors was rated 80%.",
        "affection": "The customer's affection for us was rated 90%.",
    }
    missing = wording.of_indicator("affection", Indicator(None, 0.1, 0.0), evidence)
    assert say(missing, "zh-Hans") == "没有信息表明客户对我们的感情有多深。"


def test_never_fewer_are_counted_than_are_listed() -> None:
    assert Cited([WHO, WHO], 1).more == 0, "more may become known between two reads"
