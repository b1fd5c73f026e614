"""A consumer of topics gets every event in order, none twice as far as it remembers, and is held up by no poison."""

from collections.abc import Sequence

import msgspec
import pytest
import structlog

from actors.events.cloud_events import PublishedEvent, message_of
from actors.kafka_bridge import TOPIC_SPECS
from actors.topic_source import TopicSource
from persistence.errors import StoreUnavailable
from persistence.memory.events import MemoryBroker
from persistence.records import EventMessage, NewEvent
from tests.contract.builders import event

TOPIC = "order-events"


async def opened(broker: MemoryBroker, **others: object) -> TopicSource:
    publisher = broker.publisher()
    await publisher.prepare(TOPIC_SPECS)
    source = TopicSource(broker.subscription("g", [TOPIC], 100), [TOPIC], publisher, **others)  # type: ignore[arg-type]
    await source.take()
    return source


def put(broker: MemoryBroker, *versions: int, order: str = "ord_1") -> None:
    broker.write([message_of(event(order, version), bytes_max=10**6) for version in versions])


def raw(value: bytes, key: str = "ord_1") -> EventMessage:
    return EventMessage(topic=TOPIC, key=key, value=value, headers=(("h", b"1"),))


def seen(events: Sequence[NewEvent]) -> list[tuple[str, int]]:
    return [(one.entity_id, one.version) for one in events]


async def test_events_come_in_order_and_again_until_they_are_done() -> None:
    broker = MemoryBroker()
    source = await opened(broker)
    put(broker, 1, 2, 3)
    first = await source.next()
    assert seen(first) == [("ord_1", 1), ("ord_1", 2), ("ord_1", 3)]
    assert await source.next() == first
    assert await source.done()
    put(broker, 4)
    assert seen(await source.next()) == [("ord_1", 4)]


async def test_what_was_seen_is_dropped_within_a_batch_and_later() -> None:
    broker = MemoryBroker()
    source = await opened(broker)
    put(broker, 1, 2, 1, 2, 3)
    assert seen(await source.next()) == [("ord_1", 1), ("ord_1", 2), ("ord_1", 3)]
    assert await source.done()
    put(broker, 2, 3, 4)
    put(broker, 1, order="ord_2")
    assert sorted(seen(await source.next())) == [("ord_1", 4), ("ord_2", 1)]


async def test_what_was_not_done_is_no_repeat() -> None:
    broker = MemoryBroker()
    put_before = await opened(broker)
    put(broker, 1, 2)
    await put_before.next()
    put(broker, 1, 2)
    assert seen(await put_before.next()) == [("ord_1", 1), ("ord_1", 2)]


@pytest.mark.parametrize("poison", [b"\xff", b"{}", b'{"specversion":"1.0"}'])
async def test_poison_goes_to_the_dead_letters_with_its_reason_and_the_rest_goes_on(poison: bytes) -> None:
    broker = MemoryBroker()
    source = await opened(broker)
    put(broker, 1)
    broker.write([raw(poison)])
    put(broker, 2)
    with structlog.testing.capture_logs() as logs:
        assert seen(await source.next()) == [("ord_1", 1), ("ord_1", 2)]
        await source.next()  # the consumer failed over its neighbours: it is not buried twice
    assert await source.done()
    (letter,) = [message for partition in broker.topics[TOPIC + ".dlq"] for message in partition]
    headers = dict(letter.headers)
    assert (letter.value, letter.key, headers["h"]) == (poison, b"ord_1", b"1")
    assert headers["stampede-topic"] == TOPIC.encode()
    assert headers["stampede-reason"]
    assert headers["stampede-offset"] == b"1"
    assert [line["event"] for line in logs] == ["topics.dead_letter"]


async def test_only_poison_is_passed_over_until_something_comes() -> None:
    broker = MemoryBroker()
    source = await opened(broker)
    broker.write([raw(b"x") for _ in range(250)])
    put(broker, 1)
    assert seen(await source.next()) == [("ord_1", 1)]
    assert len(broker.values(TOPIC + ".dlq")) == 250


async def test_poison_that_cannot_be_buried_is_not_put_behind() -> None:
    broker = MemoryBroker()
    source = await opened(broker)
    broker.write([raw(b"x")])
    away = True

    async def fail(name: str) -> None:
        if away and name == "events.publish":
            raise StoreUnavailable("away")

    broker.seams.before = fail
    with pytest.raises(StoreUnavailable):
        await source.next()
    away = False
    put(broker, 1)
    await source.next()
    assert len(broker.values(TOPIC + ".dlq")) == 1


async def test_tombstones_and_other_people_s_events_are_passed_over() -> None:
    broker = MemoryBroker()
    source = await opened(broker)
    put(broker, 1)
    partition = next(p for p in broker.topics[TOPIC] if p)
    partition.append(msgspec.structs.replace(partition[0], value=None, offset=1))
    foreign = msgspec.json.decode(partition[0].value or b"") | {"type": "com.example.thing", "sequence": "9"}
    broker.write([raw(msgspec.json.encode(foreign))])
    put(broker, 2)
    assert seen(await source.next()) == [("ord_1", 1), ("ord_1", 2)]
    assert broker.values(TOPIC + ".dlq") == []


async def test_a_restore_that_fails_leaves_everything_where_it_was() -> None:
    broker, fails = MemoryBroker(), True

    async def restore(events: Sequence[PublishedEvent]) -> Sequence[NewEvent]:
        if fails:
            raise StoreUnavailable("away")
        return [event(one.entity_id, one.sequence) for one in events]

    source = await opened(broker, restore=restore)
    put(broker, 1)
    with pytest.raises(StoreUnavailable):
        await source.next()
    fails = False
    assert seen(await source.next()) == [("ord_1", 1)]


async def test_a_member_that_lost_its_place_is_told_so_and_the_newer_one_gets_everything() -> None:
    broker = MemoryBroker()
    older, newer = await opened(broker), await opened(broker)
    put(broker, 1, 2)
    await older.next()
    assert seen(await newer.next()) == [("ord_1", 1), ("ord_1", 2)]
    assert not await older.done()
    assert await newer.done()
    assert newer.behind() == 0
