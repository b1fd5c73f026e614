"""Stored events are forever: today's code writes them byte for byte as it did, and reads every version.

A new event type gets its file by `STAMPEDE_WRITE_GOLDEN=1 pytest …`; an existing file is never written again.
When a shape changes, its version goes up, the old file stays, and an upcaster in `codec` makes it readable.
"""

import os
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from actors import codec
from actors.codec import JsonEvents, UnknownEvent
from actors.domain import order
from tests.unit.domain.event_samples import SAMPLES, UNIONS

GOLDEN = Path(__file__).parents[2] / "golden" / "events"
CODECS = {entity: JsonEvents(union) for entity, union in UNIONS.items()}
EVENTS = [(entity, event) for entity, events in SAMPLES.items() for event in events]


def tag_of(event: Any) -> str:
    return str(event.__struct_config__.tag)


def ids(value: Any) -> str:
    return value if isinstance(value, str) else tag_of(value)


@pytest.mark.parametrize(("entity", "event"), EVENTS, ids=ids)
def test_an_event_is_written_as_ever_and_read_again(entity: str, event: Any) -> None:
    type_, version, body = CODECS[entity].encode(event)
    path = GOLDEN / f"{type_}.v{version}.json"
    if os.environ.get("STAMPEDE_WRITE_GOLDEN") and not path.exists():
        path.write_bytes(body + b"\n")
    assert path.read_bytes() == body + b"\n"
    assert CODECS[entity].decode(type_, version, body) == event


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.name)
def test_every_stored_version_is_readable(path: Path) -> None:
    type_, version = path.name.removesuffix(".json").rsplit(".v", maxsplit=1)
    entity = next(name for name, events in SAMPLES.items() if type_ in map(tag_of, events))
    assert tag_of(CODECS[entity].decode(type_, int(version), path.read_bytes())) == type_


def test_every_event_type_has_a_sample_and_a_tag_of_its_own() -> None:
    for entity, union in UNIONS.items():
        assert {tag_of(event) for event in get_args(union)} == {tag_of(event) for event in SAMPLES[entity]}
    tags = [tag_of(event) for _, event in EVENTS]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize(("type_", "version"), [("order.teleported", 1), ("order.confirmed", 2), ("stock.reserved", 1)])
def test_what_newer_code_or_another_entity_wrote_is_refused(type_: str, version: int) -> None:
    with pytest.raises(UnknownEvent):
        CODECS["order"].decode(type_, version, b"{}")


def test_a_body_of_another_type_is_refused() -> None:
    _, _, body = CODECS["order"].encode(order.OrderExpired(at_ms=1))
    with pytest.raises(msgspec.ValidationError):
        CODECS["order"].decode("order.refunded", 1, body)


def test_an_old_version_is_read_through_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    type_, _, body = CODECS["order"].encode(order.OrderExpired(at_ms=1))
    assert type_ == "order.expired"
    monkeypatch.setattr(codec, "SCHEMA_VERSIONS", {"order.expired": 3})
    upcasters = {
        ("order.expired", 1): lambda fields: {**fields, "at_s": fields["at_ms"] + 1},
        ("order.expired", 2): lambda fields: {"type": fields["type"], "at_ms": fields["at_s"] * 10},
    }
    monkeypatch.setattr(codec, "UPCASTERS", upcasters)
    assert CODECS["order"].decode("order.expired", 1, body) == order.OrderExpired(at_ms=20)
    assert CODECS["order"].encode(order.OrderExpired(at_ms=1))[1] == 3
