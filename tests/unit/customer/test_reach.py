"""Phone numbers and mail addresses in their one form."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer.archive.reach import UnreachableError, email, phone


@pytest.mark.parametrize(
    ("given_", "region"),
    [
        ("+12025550123", "CN"),
        ("(202) 555-0123", "US"),
        ("202.555.0123", "US"),
        ("1 202 555 0123", "US"),
        ("011 1 202 555 0123", "US"),
        ("tel:+1-202-555-0123", "DE"),
        ("\uff0b\uff11 202 555 0123", "CN"),
    ],
)
def test_one_number_has_one_form_however_it_is_written(given_: str, region: str) -> None:
    assert phone(given_, region) == "+12025550123"


def test_a_number_without_country_code_is_one_of_the_default_region() -> None:
    assert phone("138 0013 8000", "CN") == "+8613800138000"
    assert phone("020 7946 0018", "GB") == "+442079460018"


@pytest.mark.parametrize(
    ("given_", "rule"),
    [
        ("", "must be a phone number"),
        ("call me", "must be a phone number"),
        ("12", "US"),
        ("+1 202 555", r"in use in US \(\+1\)"),
        ("+1 123 456 7890", r"in use in US \(\+1\)"),
        ("+999 123456789", "must be a phone number"),
        ("9" * 250, "must be a phone number"),
        ("+1 202 555 0123 ext. 7", "without an extension"),
    ],
)
def test_what_nobody_can_dial_is_refused_by_name_of_the_rule(given_: str, rule: str) -> None:
    with pytest.raises(UnreachableError, match=rule):
        phone(given_, "US")


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.sampled_from([0, 1, 2]))
def test_every_notation_of_an_example_number_gives_the_same_form(region: str, notation: int) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    written = phonenumbers.format_number(number, notation)
    normal = phone(written, region)
    assert normal == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert phone(normal, "US") == normal


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        (" Ann.Lee+crm@Example.COM ", "ann.lee+crm@example.com"),
        ("o'brien@mail.example.co.uk", "o'brien@mail.example.co.uk"),
        ("wang@例子.中国", "wang@例子.中国"),
        ("a@xn--fsqu00a.xn--fiqs8s", "a@xn--fsqu00a.xn--fiqs8s"),
    ],
)
def test_a_mail_address_is_kept_in_lower_case(given_: str, normal: str) -> None:
    assert email(given_) == normal


@pytest.mark.parametrize(
    "given_",
    [
        "", "ann", "ann@", "@example.com", "ann@example", "ann@@example.com", "ann lee@example.com",
        ".ann@example.com", "ann.@example.com", "a..b@example.com", "ann@-example.com", "ann@example-.com",
        "ann@example..com", "ann@1.2.3.4", "a" * 65 + "@example.com", "ann@" + "a" * 64 + ".com",
        "ann@example.com, bob@example.com", "Ann <ann@example.com>", "ann@" + "abc." * 70 + "com",
    ],
)  # fmt: skip
def test_what_is_no_mail_address_is_refused(given_: str) -> None:
    with pytest.raises(UnreachableError, match="must be a mail address"):
        email(given_)
