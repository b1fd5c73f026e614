"""What is published: CloudEvents of a fixed shape, with the fields that the table names, and nothing else."""

import os
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from actors.events.cloud_events import INTERNAL, Unreadable, is_public, message_of, read
from actors.events.facts import ENTITIES, FACTS, TOPICS
from actors.events.guests import public_user_id
from actors.registry import ENTITY_TYPES
from persistence.records import NewEvent
from tests.unit.domain.event_samples import UNIONS
from tests.unit.events.samples import OUTBOX_BODIES, all_events, stored

GOLDEN = Path(__file__).parents[2] / "golden" / "cloud_events"
EVENTS = all_events()
MAX = 900_000


def decoded(event: NewEvent, bytes_max: int = MAX) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(message_of(event, bytes_max=bytes_max).value)
    return found


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_an_event_is_published_as_ever(event: NewEvent) -> None:
    message = message_of(event, bytes_max=MAX)
    written = msgspec.json.format(message.value, indent=2) + b"\n"
    path = GOLDEN / f"{event.type}.json"
    if os.environ.get("STAMPEDE_WRITE_GOLDEN") and not path.exists():
        path.write_bytes(written)
    assert path.read_bytes() == written
    assert message.topic in TOPICS
    assert message.headers == (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_the_attributes_are_those_that_cloud_events_asks_for(event: NewEvent) -> None:
    found = decoded(event)
    assert found["specversion"] == "1.0"
    assert found["id"] == f"{found['subject']}:{found['sequence']}"
    assert found["sequence"] == str(event.version)
    assert found["partitionkey"] == message_of(event, bytes_max=MAX).key
    assert found["source"] == ENTITIES[event.entity_type].source
    assert found["time"] == "2023-11-14T22:13:20.123Z"
    assert found["datacontenttype"] == "application/json"
    assert all(name.isalnum() and name.islower() for name in found)
    assert "" not in found.values()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_consumer_reads_what_was_published(event: NewEvent) -> None:
    found = read(message_of(event, bytes_max=MAX).value)
    assert found is not None
    assert (found.entity_type, found.entity_id, found.sequence) == (event.entity_type, event.entity_id, event.version)
    assert (found.at_ms, found.correlation_id, found.traceparent) == (event.at_ms, "req-1", event.traceparent)
    assert found.type == (event.type if is_public(event.type) else f"{event.type.partition('.')[0]}.{INTERNAL}")


def test_every_event_type_has_a_golden_file_and_every_row_of_the_table_an_event() -> None:
    types = {str(event.__struct_config__.tag) for union in UNIONS.values() for event in get_args(union)}
    types |= OUTBOX_BODIES.keys()
    assert {path.stem for path in GOLDEN.glob("*.json")} == types
    assert set(FACTS) <= types
    assert ENTITY_TYPES.keys() <= ENTITIES.keys()


@pytest.mark.parametrize("event", [event for event in EVENTS if is_public(event.type)], ids=lambda event: event.type)
def test_no_field_of_the_table_is_misspelt(event: NewEvent) -> None:
    assert decoded(event)["data"].keys() == FACTS[event.type].keys()


def test_events_that_others_do_not_hear_of_keep_their_place_in_the_sequence() -> None:
    internal = [event for event in EVENTS if not is_public(event.type)]
    assert {event.type for event in internal} == {
        "order.payment_attempted",
        "order.payment_delayed",
        "order.cancel_requested",
        "order.cancelled_payment_settled",
        "order.refund_requested",
        "payment.unknown",
        "stock.attempt_closed",
        "cart.claimed",
        "cart.claim_released",
    }
    for event in internal:
        found = decoded(event)
        assert (found["type"], found["sequence"], found["data"]) == (
            f"stampede.{event.type.partition('.')[0]}.progressed.v1",
            "3",
            {},
        )


# --- what is kept back ------------------------------------------------------------------------------------

SECRET_NAMES = {
    "email", "name", "line1", "line2", "city", "postal_code", "country", "phone", "token", "method", "reference", "last4", "key",
    "fingerprint", "mark", "actor", "command_id", "merge", "source", "claim", "attempt_ms", "cart_id",
}  # fmt: skip
SECRET_TEXTS = {("order.cancelled", "reason"), ("order.cancel_requested", "reason"), ("stock.adjusted", "reason")}


def planted(value: Any, path: tuple[str, ...]) -> Any:
    """The same with every text replaced by one that says where it stood."""
    match value:
        case dict():
            return {name: planted(member, (*path, name)) for name, member in value.items()}
        case list():
            return [planted(member, path) for member in value]
        case str():
            return f"canary/{'/'.join(path)}/"
        case _:
            return value


def texts(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    match value:
        case dict():
            return [found for name, member in value.items() for found in texts(member, (*path, name))]
        case list():
            return [found for member in value for found in texts(member, path)]
        case str():
            return [path]
        case _:
            return []


@pytest.mark.parametrize(
    "event", [event for event in EVENTS if event.entity_type in ENTITY_TYPES], ids=lambda event: event.type
)
def test_no_address_token_or_typed_text_is_published(event: NewEvent) -> None:
    fields = msgspec.json.decode(event.body)
    canaries = planted({name: value for name, value in fields.items() if name != "type"}, ())
    published = message_of(
        msgspec.structs.replace(event, body=msgspec.json.encode({"type": fields["type"], **canaries})), bytes_max=MAX
    ).value.decode()
    secret = [
        path for path in texts(canaries) if SECRET_NAMES.intersection(path) or (event.type, path[0]) in SECRET_TEXTS
    ]
    for path in secret:
        assert f"canary/{'/'.join(path)}/" not in published, path


def test_the_canaries_stand_where_they_can_be_seen() -> None:
    (created,) = [event for event in EVENTS if event.type == "order.created"]
    names = {path[-1] for path in texts(msgspec.json.decode(created.body))}
    assert {"email", "token", "line1", "phone", "postal_code", "fingerprint", "actor"} <= names
    published = message_of(
        msgspec.structs.replace(created, body=msgspec.json.encode(planted(msgspec.json.decode(created.body), ()))),
        bytes_max=MAX,
    ).value
    assert b"canary/lines/sku/" in published


def test_fields_that_a_body_gets_later_are_not_published_by_themselves() -> None:
    for event in EVENTS:
        fields = msgspec.json.decode(event.body) | {"added_later": "canary"}
        later = msgspec.structs.replace(event, body=msgspec.json.encode(fields))
        assert b"canary" not in message_of(later, bytes_max=MAX).value


def test_a_guest_s_id_is_published_nowhere_and_its_cart_is_always_the_same() -> None:
    guest = "0b6b1f0e-guest"
    order = next(event for event in EVENTS if event.type == "order.created")
    fields = msgspec.json.decode(order.body) | {"user_id": guest, "cart_id": guest, "actor": guest}
    events = [msgspec.structs.replace(order, body=msgspec.json.encode(fields))]
    events += [msgspec.structs.replace(event, entity_id=guest, causation_id=f"login-merge:{guest}")
               for event in EVENTS if event.entity_type == "cart"]  # fmt: skip
    for event in events:
        message = message_of(event, bytes_max=MAX)
        assert guest.encode() not in message.value
        assert guest not in message.key
    assert {message_of(event, bytes_max=MAX).key for event in events[1:]} == {public_user_id(guest)}
    assert public_user_id("usr_1") == "usr_1"


# --- what does not fit ------------------------------------------------------------------------------------


def test_a_message_that_is_too_large_goes_without_its_data_and_says_so() -> None:
    product = stored("product.updated", msgspec.json.encode({"id": "p1", "description": "x" * 5_000}), "product", "p1")
    assert decoded(product)["data"]["description"] == "x" * 5_000
    found = decoded(product, bytes_max=5_000)
    assert (found["data"], found["dataomitted"], found["type"]) == ({}, True, "stampede.product.updated.v1")


@pytest.mark.parametrize(
    "event",
    [
        stored("order.teleported", b'{"secret":1}', "order", "ord_1"),
        stored("order.confirmed", b'{"secret":1}', "order", "ord_1", schema_version=9),
        stored("order.confirmed", b"\xff", "order", "ord_1"),
        stored("order.confirmed", b"[]", "order", "ord_1"),
    ],
)
def test_what_newer_code_wrote_or_nobody_can_read_is_told_as_internal(event: NewEvent) -> None:
    found = decoded(event)
    assert (found["type"], found["sequence"], found["data"]) == ("stampede.order.progressed.v1", "3", {})


def test_what_a_client_chose_as_request_id_has_a_bound() -> None:
    event = msgspec.structs.replace(EVENTS[0], correlation_id="x" * 10_000)
    assert decoded(event)["correlationid"] == "x" * 256


# --- what consumers are given -----------------------------------------------------------------------------

GOOD = msgspec.json.decode(message_of(EVENTS[0], bytes_max=MAX).value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        msgspec.json.encode(GOOD | {"specversion": "0.3"}),
        msgspec.json.encode(GOOD | {"subject": "order"}),
        msgspec.json.encode(GOOD | {"subject": "order:"}),
        msgspec.json.encode(GOOD | {"subject": "planet:1"}),
        msgspec.json.encode(GOOD | {"sequence": "0"}),
        msgspec.json.encode(GOOD | {"sequence": "-1"}),
        msgspec.json.encode(GOOD | {"sequence": "٣"}),
        msgspec.json.encode(GOOD | {"sequence": "9" * 30}),
        msgspec.json.encode(GOOD | {"sequence": 3}),
        msgspec.json.encode(GOOD | {"time": "yesterday"}),
        msgspec.json.encode(GOOD | {"time": "2023-11-14T22:13:20"}),
        msgspec.json.encode(GOOD | {"data": "text"}),
    ],
)
def test_what_is_no_event_of_ours_is_unreadable(value: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(value)
    assert str(caught.value)


@pytest.mark.parametrize("type_", ["com.example.thing", "stampede.order.confirmed.v2"])
def test_other_events_and_newer_versions_are_passed_over(type_: str) -> None:
    assert read(msgspec.json.encode(GOOD | {"type": type_})) is None


def test_attributes_that_others_add_are_passed_over() -> None:
    assert read(msgspec.json.encode(GOOD | {"dataschema": "x", "extra": 1})) is not None
