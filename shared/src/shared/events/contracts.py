"""The contracts as documents: a JSON Schema per event, and one AsyncAPI 3 description of all topics."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from shared.events.event import EVENTS, Event

PUBLISHERS = ("customer", "orders", "service_desk", "scoring")
HEADERS = {
    "ce_specversion": "CloudEvents version, 1.0",
    "ce_id": "unique id of the event",
    "ce_source": "/patron/<service>",
    "ce_type": "wire name with its major version",
    "ce_time": "when it happened, ISO 8601 with offset",
    "ce_partitionkey": "what the event is about; also the record's key",
    "ce_sequence": "place in the key's gapless order on this topic, from 1",
}


def declared() -> list[type[Event]]:
    """Every event of every publisher, by wire name."""
    modules = {importlib.import_module(f"shared.events.{name}").__name__ for name in PUBLISHERS}
    return [event for _, event in sorted(EVENTS.items()) if event.__module__ in modules]


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's data."""
    found = json.loads(json.dumps(msgspec.json.schema(event)))  # tuples as JSON has them
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:patron:event:{event.wire_name}",
        **found,
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3: the topics, what is on them, and what each record looks like."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for event in declared():
        title = event.wire_name.replace(".", "_")
        messages[title] = {
            "name": event.wire_name,
            "summary": (event.__doc__ or "").strip(),
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "required": list(HEADERS),
                "properties": {name: {"type": "string", "description": d} for name, d in HEADERS.items()},
            },
            "payload": {"$ref": f"./schemas/{event.wire_name}.json"},
            "bindings": {"kafka": {"key": {"type": "string", "description": event.keyed_by}}},
        }
        channel = channels.setdefault(event.topic.replace(".", "_"), {"address": event.topic, "messages": {}})
        channel["messages"][title] = {"$ref": f"#/components/messages/{title}"}
        operations[f"publish_{event.topic.replace('.', '_')}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{event.topic.replace('.', '_')}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Patron's events",
            "version": "1",
            "description": "CloudEvents 1.0 in Kafka's binary mode. Per key, sequence is gapless from 1.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents() -> dict[str, str]:
    """Every contract file's text, by its path below `docs/events`."""
    found = {f"schemas/{event.wire_name}.json": schema(event) for event in declared()}
    found["asyncapi.json"] = asyncapi()
    return {path: json.dumps(content, indent=2) + "\n" for path, content in found.items()}


def breaking(before: Any, now: Any) -> Iterator[str]:
    """What a consumer of the old schema could stumble over in the new one."""
    old_defs, new_defs = before.get("$defs", {}), now.get("$defs", {})
    for name, old in old_defs.items():
        new = new_defs.get(name)
        if new is None:
            yield f"{name} is gone"
            continue
        yield from _breaking_shape(name, old, new)


def _breaking_shape(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for field, shape in old.get("properties", {}).items():
        if field not in new.get("properties", {}):
            yield f"{name}.{field} is gone"
        elif _without_words(shape) != _without_words(new["properties"][field]):
            yield f"{name}.{field} was {_without_words(shape)}, is {_without_words(new['properties'][field])}"
    for field in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield f"{name}.{field} is required now; only optional additions keep v1"
    for field in sorted(set(old.get("required", [])) - set(new.get("required", []))):
        yield f"{name}.{field} may be missing now; consumers rely on it"


def _without_words(shape: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if name not in ("description", "title")}


def broken_against(directory: Path) -> list[str]:
    """Every breaking change against the committed contracts."""
    found = []
    for committed in sorted((directory / "schemas").glob("*.json")):
        before = json.loads(committed.read_text())
        event = EVENTS.get(committed.stem)
        if event is None:
            found.append(f"{committed.stem} is no longer declared")
        else:
            found += [f"{committed.stem}: {what}" for what in breaking(before, schema(event))]
    return found
