"""What is typed wrong on the command line is said in a line."""

import pytest

from shared.cli import _parser


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
