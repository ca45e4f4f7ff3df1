"""What is typed wrong on the command line is said in a line."""

import pytest

from shared.cli import _incomplete, _parser


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("parked show 0", "0 is not an id"),
        ("parked show -- -1", "-1 is not an id"),
        ("parked show 99999999999999999999", "is not an id"),
        ("parked show ½", "is not an id"),
        ("parked edit 1 --data {} --reason x --headers {bad", "must be a JSON object of texts"),
        ("parked edit 1 --data {} --reason x --headers []", "must be a JSON object of texts"),
        ('parked edit 1 --data {} --reason x --headers {"ce_id":1}', "must be a JSON object of texts"),
    ],
)
def test_wrong_arguments_are_explained(capsys: pytest.CaptureFixture[str], typed: str, said: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        _parser("orders").parse_args(typed.split())
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("parked retry 3", "say why"),
        ("parked retry --reason x", "needs the id"),
        ("parked retry 3 --all --reason x", "--all goes with retry, and without an id"),
        ("parked discard --all --reason x", "--all goes with retry, and without an id"),
        ("parked edit 3 --reason x --data {}", "needs --headers and --data"),
        ("parked retry --all --reason x", None),
        ("parked list", None),
    ],
)
def test_what_is_missing_is_named(typed: str, said: str | None) -> None:
    found = _incomplete(_parser("orders").parse_args(typed.split()))
    assert (found is None) if said is None else (said in (found or ""))
