"""What an event is: a frozen, typed fact, declared once with its wire name, topic and key."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec

MAX_PAYLOAD_BYTES = 900_000


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, in the past tense, that other services may read. Carries no personal data.

    Unknown fields are ignored on reading, so that optional additions never break a consumer.
    """

    wire_name: ClassVar[str]
    topic: ClassVar[str]
    keyed_by: ClassVar[str]

    @property
    def key(self) -> str:
        """What the event is about; events of one key keep their order."""
        return str(msgspec.to_builtins(getattr(self, self.keyed_by)))  # five times as fast as str(UUID)


E = TypeVar("E", bound=Event)

EVENTS: dict[str, type[Event]] = {}
"""Every declared event by its wire name."""


def declare(wire_name: str, *, topic: str, key: str) -> Callable[[type[E]], type[E]]:
    """Register an event class: its wire name, the topic it goes to, the field that is its key."""

    def register(event: type[E]) -> type[E]:
        if wire_name in EVENTS:
            raise TypeError(f"two events are named {wire_name}")
        if key not in event.__struct_fields__:
            raise TypeError(f"{wire_name} has no field {key!r} to be keyed by")
        event.wire_name, event.topic, event.keyed_by = wire_name, topic, key
        EVENTS[wire_name] = event
        return event

    return register


_encoder = msgspec.json.Encoder()
_decoders: dict[str, msgspec.json.Decoder[Any]] = {}


class UnknownEventError(ValueError):
    """The wire name is not declared here: a newer publisher's event, or not an event at all."""


def encode(event: Event) -> bytes:
    """The event as JSON; raises `msgspec.ValidationError` when it breaks its own contract."""
    payload = _encoder.encode(event)
    decode(event.wire_name, payload)  # msgspec checks on reading only: what we publish must be readable
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"{event.wire_name} has {len(payload)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
    return payload


def decode(wire_name: str, payload: bytes) -> Event:
    """The event of that wire name; raises `UnknownEventError` or `msgspec.DecodeError`."""
    decoder = _decoders.get(wire_name)
    if decoder is None:
        if wire_name not in EVENTS:
            raise UnknownEventError(f"no event is named {wire_name!r}")
        decoder = _decoders[wire_name] = msgspec.json.Decoder(EVENTS[wire_name])
    event: Event = decoder.decode(payload)
    return event
