"""Events as fields of a stream's entries, and back."""

from collections.abc import Iterable, Sequence

from persistence.records import NewEvent
from persistence.redis.server import Argument

FIELDS = (
    "entity_type",
    "entity_id",
    "version",
    "type",
    "schema_version",
    "body",
    "command_id",
    "correlation_id",
    "causation_id",
    "traceparent",
    "at_ms",
)
"""In the order of the scripts' EVENT_FIELDS."""

_NUMBERS = frozenset({b"version", b"schema_version", b"at_ms"})


def fields_of(events: Iterable[NewEvent]) -> list[Argument]:
    """The values of all fields of each event, one after the other."""
    return [getattr(event, name) for event in events for name in FIELDS]


def event_of(entry: Sequence[bytes]) -> NewEvent:
    """The event of an entry's field names and values in turn."""
    values: dict[str, object] = {}
    for name, value in zip(entry[::2], entry[1::2], strict=True):
        values[name.decode()] = int(value) if name in _NUMBERS else value if name == b"body" else value.decode()
    return NewEvent(**values)  # type: ignore[arg-type] # by the names above


def are_sound(events: Iterable[NewEvent]) -> bool:
    """Whether each would pass the constraints that the outboxes have in PostgreSQL."""
    return all(event.version > 0 and event.schema_version > 0 for event in events)
