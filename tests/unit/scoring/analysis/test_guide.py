"""What docs/models.md shows is what comes: its commands and programs run, in order, in one folder."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shlex import split

import pytest

from scoring.analysis.cli import main

ROOT = Path(__file__).parents[4]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.\d+")


def test_the_guide_shows_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    monkeypatch.chdir(tmp_path)
    came = ""
    for kind, text in BLOCK.findall((ROOT / "docs/models.md").read_text()):
        if kind == "console":
            for command, shown in commands(text):
                assert_alike(run(command, capsys), shown)
        elif kind == "python":
            exec(compile(text, "docs/models.md", "exec"), {})
            came = capsys.readouterr().out
        else:
            assert_alike(came, text)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command, and what it shows."""
    for part in text.removeprefix("$ ").split("\n$ "):
        command, _, shown = part.partition("\n")
        yield command, shown


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    if command.startswith("scoring "):
        assert main(split(command)[1:]) == 0
        return capsys.readouterr().err
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    return done.stdout


def assert_alike(came: str, shown: str) -> None:
    """The same words, and the same numbers as far as machines agree on their last digits."""
    assert NUMBER.sub("#", came).strip() == NUMBER.sub("#", shown).strip()
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (came, shown)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=0.011)
