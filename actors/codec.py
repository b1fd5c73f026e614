"""Events to and from the journal: (type, schema version, JSON body). Never pickle.

The type is the event's tag (`order.confirmed`). When an event changes its shape, its schema version goes up and
an upcaster from the old one joins `UPCASTERS`; stored events are never rewritten.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

SCHEMA_VERSIONS: Mapping[str, int] = {}
"""Types whose shape has changed, with their version of today; all others are at 1."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""(type, version) -> makes a body of that version one of the next."""


class UnknownEvent(Exception):
    """The journal holds an event that this code does not know: it was written by newer code."""


class JsonEvents:
    """The events of one entity type: a union of tagged structs."""

    def __init__(self, union: Any) -> None:
        self._types: dict[str, type[msgspec.Struct]] = {
            str(event.__struct_config__.tag): event for event in get_args(union)
        }
        self._encoder = msgspec.json.Encoder()
        self._decoders = {tag: msgspec.json.Decoder(event) for tag, event in self._types.items()}

    def encode(self, event: Any) -> tuple[str, int, bytes]:
        """(type, schema version, JSON body)."""
        tag = str(event.__struct_config__.tag)
        return tag, SCHEMA_VERSIONS.get(tag, 1), self._encoder.encode(event)

    def decode(self, type_: str, schema_version: int, body: bytes) -> Any:
        """The event in today's shape. Raises `UnknownEvent` for a type or version of newer code."""
        today = SCHEMA_VERSIONS.get(type_, 1)
        if type_ not in self._types or schema_version > today:
            raise UnknownEvent(f"{type_} version {schema_version}")
        if schema_version == today:
            return self._decoders[type_].decode(body)
        fields = msgspec.json.decode(body)
        for version in range(schema_version, today):
            fields = UPCASTERS[(type_, version)](fields)
        return msgspec.convert(fields, self._types[type_])
