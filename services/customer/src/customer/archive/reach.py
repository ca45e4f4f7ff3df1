"""Phone numbers and mail addresses in the one form in which they can be compared."""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

_LOCAL = r"[^\s@\"(),:;<>\[\\\]\x00-\x1f]"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(rf"(?!\.)(?!.*\.\.)(?P<local>{_LOCAL}{{1,64}})(?<!\.)@(?:{_LABEL}\.)+[^\W\d_][\w-]*\w")
_LONGEST_EMAIL = 254


class UnreachableError(ValueError):
    """Not a phone number or not a mail address; says which rule it breaks."""


def phone(given: str, default_region: str) -> str:
    """The number in E.164: +12025550123. Without +<country code> it is one of the default region."""
    try:
        number = phonenumbers.parse(given, default_region)
    except NumberParseException as problem:
        raise UnreachableError(
            f"must be a phone number: with + and the country code, or as it is dialled in {default_region}"
        ) from problem
    if number.extension:
        raise UnreachableError("must be without an extension; put the extension into the notes")
    if not phonenumbers.is_valid_number(number):
        country = phonenumbers.region_code_for_country_code(number.country_code or 0)
        raise UnreachableError(
            f"must be a number that can be in use in {country} (+{number.country_code}); "
            "check its digits, or begin with + and another country code"
        )
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def email(given: str) -> str:
    """The address in lower case: nobody tells mailboxes apart by capitals."""
    address = given.strip().lower()
    if len(address) > _LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        raise UnreachableError("must be a mail address, such as name@example.com")
    return address
