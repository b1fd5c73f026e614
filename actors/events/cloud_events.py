"""Journal and outbox events as CloudEvents 1.0, structured JSON; and back, as a consumer reads them. Pure.

id       <entity type>:<entity id>:<version>        subject   <entity type>:<entity id>
source   /stampede/<service>                        sequence  the entity's version, without gaps
type     stampede.<entity>.<fact>.v1                partitionkey = the message's key = the entity's id
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from actors.codec import SCHEMA_VERSIONS, UPCASTERS
from actors.events.facts import ENTITIES, FACTS, Entity, picked
from actors.events.guests import public_user_id
from persistence.records import EventMessage, NewEvent

CONTENT_TYPE: Final = ("content-type", b"application/cloudevents+json; charset=UTF-8")
INTERNAL: Final = "progressed"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX: Final = "stampede."
_TRACED_MAX: Final = 256
_SEQUENCE: Final = re.compile(r"[1-9][0-9]{0,17}")


class Unreadable(Exception):
    """A message that is no CloudEvent of ours. Its text says why, and repeats nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEvent:
    """A CloudEvent as a consumer has it."""

    type: str
    """The stored type, such as `order.confirmed`, or `order.progressed` for an internal one."""
    entity_type: str
    entity_id: str
    sequence: int
    data: Mapping[str, Any]
    correlation_id: str
    causation_id: str
    traceparent: str
    at_ms: int

    @property
    def subject(self) -> str:
        """What the sequence counts."""
        return f"{self.entity_type}:{self.entity_id}"


def message_of(event: NewEvent, *, bytes_max: int) -> EventMessage:
    """The message that publishes this event. Above `bytes_max` it goes without data, and says so.

    Raises `KeyError` for an entity type that has no topic.
    """
    entity = ENTITIES[event.entity_type]
    data = _data(event)
    value = _encoded(event, entity, data)
    if len(value) > bytes_max:
        value = _encoded(event, entity, data, omitted=True)
    return EventMessage(topic=entity.topic, key=_public_id(event), value=value, headers=(CONTENT_TYPE,))


def topic_of(entity_type: str) -> str:
    """Raises `KeyError` for an entity type that has none."""
    return ENTITIES[entity_type].topic


def is_public(event_type: str) -> bool:
    """Whether others hear what happened, and not only that something did."""
    return event_type in FACTS


def _data(event: NewEvent) -> dict[str, Any] | None:
    """The public fields; None for an internal event, one of newer code, and one that nobody can read."""
    picks = FACTS.get(event.type)
    today = SCHEMA_VERSIONS.get(event.type, 1)
    if picks is None or event.schema_version > today:
        return None
    try:
        fields = msgspec.json.decode(event.body)
    except msgspec.DecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    for version in range(event.schema_version, today):
        fields = UPCASTERS[(event.type, version)](fields)
    return picked(picks, fields, event.entity_id)


def _encoded(event: NewEvent, entity: Entity, data: dict[str, Any] | None, *, omitted: bool = False) -> bytes:
    fact = entity.fact + "." + (INTERNAL if data is None else event.type.partition(".")[2])
    public_id = _public_id(event)
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{event.entity_type}:{public_id}:{event.version}",
        "source": entity.source,
        "type": f"{_PREFIX}{fact}.v1",
        "subject": f"{event.entity_type}:{public_id}",
        "time": _time(event.at_ms),
        "datacontenttype": "application/json",
        "partitionkey": public_id,
        "sequence": str(event.version),
    }
    # An attribute is never empty; who sends a request may have chosen what stands here, so it has a bound.
    traced = {
        "correlationid": event.correlation_id,
        # A cart's causes may name a guest.
        "causationid": "" if event.entity_type == "cart" else event.causation_id,
        "traceparent": event.traceparent,
    }
    attributes |= {name: value[:_TRACED_MAX] for name, value in traced.items() if value}
    if omitted:
        attributes["dataomitted"] = True
    return msgspec.json.encode({**attributes, "data": {} if omitted or data is None else data})


def _public_id(event: NewEvent) -> str:
    return public_user_id(event.entity_id) if event.entity_type == "cart" else event.entity_id


def _time(at_ms: int) -> str:
    # Not from seconds as a float: 2**53 ms are representable, and fractions must not be rounded.
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Wire(msgspec.Struct, frozen=True):
    """The attributes that we need; others are allowed and passed over."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    sequence: str
    time: datetime
    data: dict[str, Any] = {}
    correlationid: str = ""
    causationid: str = ""
    traceparent: str = ""


_decoder = msgspec.json.Decoder(_Wire)


def read(value: bytes) -> PublishedEvent | None:
    """A message's value as an event. None for a CloudEvent that is none of ours, and of newer versions of ours.

    Raises `Unreadable`.
    """
    try:
        wire = _decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable(f"no CloudEvent of this platform ({type(error).__name__})") from None
    if wire.specversion != "1.0":
        raise Unreadable("another version of CloudEvents")
    if not (wire.type.startswith(_PREFIX) and wire.type.endswith(".v1")):
        return None
    entity_type, colon, entity_id = wire.subject.partition(":")
    if not colon or not entity_id or entity_type not in ENTITIES:
        raise Unreadable("subject")
    if not _SEQUENCE.fullmatch(wire.sequence):
        raise Unreadable("sequence")
    if wire.time.tzinfo is None:
        raise Unreadable("time")
    return PublishedEvent(
        type=wire.type.removeprefix(_PREFIX).removesuffix(".v1"),
        entity_type=entity_type,
        entity_id=entity_id,
        sequence=int(wire.sequence),
        data=wire.data,
        correlation_id=wire.correlationid,
        causation_id=wire.causationid,
        traceparent=wire.traceparent,
        at_ms=round((wire.time - _EPOCH) / timedelta(milliseconds=1)),
    )


def dead_letter_key(value: bytes | None) -> str:
    """A key for a message that has none which can be read."""
    return hashlib.sha256(value or b"").hexdigest()[:16]
