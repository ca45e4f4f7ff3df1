"""Preparing Kafka's storage."""

import uuid
from pathlib import Path

import pytest

from stack import kafka


async def test_a_cluster_id_that_begins_with_a_dash_is_not_taken_for_an_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []

    async def note(command: list[str]) -> str:
        commands.append(command)
        return ""

    monkeypatch.setattr(kafka, "run_once", note)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" + bytes(15)))
    await kafka._format(["tool"], tmp_path / "server.properties")
    assert commands[0][2].startswith("--cluster-id=-")
