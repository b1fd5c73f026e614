"""The bridge publishes every event at least once and an entity's in order, whatever fails between broker and cursor."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest
import structlog

from actors.consumers import Parts, bridge_parts, consumers_of, consumers_parts
from actors.events.cloud_events import read
from actors.feeds import Feeds
from actors.kafka_bridge import TOPIC_SPECS, KafkaBridge
from actors.system import singletons
from persistence.errors import OutcomeUnknown, StoreUnavailable, TooLarge
from persistence.kafka_settings import KafkaSettings
from persistence.memory.events import MemoryBroker
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import JournalService
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import batch, cart_write, event
from tests.unit.actors.consumer_world import SETTINGS, virtually

_ENTITIES: dict[JournalService, str] = {"orders": "order", "inventory": "sku", "payments": "payment"}


class Bridged:
    """Memory stores, a memory broker, and a bridge between them that can be killed."""

    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.broker = MemoryBroker()
        self.stores = self.open()
        self._seqs: dict[tuple[JournalService, int], int] = {}

    def open(self, seams: Seams | None = None) -> Stores:
        return open_memory_stores(lambda: 0, tables=self.tables, seams=seams, events=self.broker)

    async def append(self, service: JournalService, shard: int, count: int) -> None:
        """So many more events of the entity `<shard>`; its versions are the shard's seqs."""
        journal = self.stores.journals[service]
        seq = self._seqs.get((service, shard), 0)
        if seq == 0:
            await journal.fence(shard, 1)
        events = [event(f"e{shard}", seq + n, entity_type=_ENTITIES[service]) for n in range(1, count + 1)]
        await journal.append([batch(shard, seq=seq, events=events)])
        self._seqs[service, shard] = seq + count

    @asynccontextmanager
    async def running(self, stores: Stores | None = None) -> AsyncIterator[Feeds]:
        """A bridge's process, killed (without a word) at the end."""

        async def standing() -> bool:
            return True

        parts: Parts = bridge_parts(stores or self.stores, lambda: 0, SETTINGS)
        feeds = Feeds(stores or self.stores, parts.consumers, parts.background, SETTINGS, standing, parts.subscribed)
        running = asyncio.create_task(feeds.run())
        try:
            yield feeds
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def sequences(self, topic: str) -> dict[str, list[int]]:
        """By subject, in the order of the topic."""
        found: dict[str, list[int]] = {}
        for value in self.broker.values(topic):
            published = read(value)
            assert published is not None
            found.setdefault(published.subject, []).append(published.sequence)
        return found

    async def has(self, topic: str, count: int) -> None:
        """Until so many messages are there."""
        while len(self.broker.values(topic)) < count:
            await self.broker.written.wait()


def firsts(sequences: list[int]) -> list[int]:
    return list(dict.fromkeys(sequences))


@virtually
async def test_every_journal_and_outbox_is_published_to_its_topic_in_order() -> None:
    bridged = Bridged()
    for service in _ENTITIES:
        for shard in range(3):
            await bridged.append(service, shard, 12)
    await bridged.stores.carts.save([cart_write("usr_1", 0, events=[event("usr_1", 1, entity_type="cart")])])
    async with bridged.running():
        for topic in ("order-events", "payment-events", "inventory-events"):
            await bridged.has(topic, 36)
        await bridged.has("cart-events", 1)
        await bridged.append("orders", 1, 2)
        await bridged.has("order-events", 38)
    assert bridged.sequences("order-events")["order:e1"] == list(range(1, 15))
    assert bridged.sequences("inventory-events") == {f"sku:e{shard}": list(range(1, 13)) for shard in range(3)}
    assert bridged.sequences("cart-events") == {"cart:usr_1": [1]}
    assert bridged.broker.compacted == {"catalog-events"}
    assert set(bridged.broker.topics) == {topic.name for topic in TOPIC_SPECS}


@virtually
async def test_a_crash_between_publishing_and_the_cursor_repeats_that_batch_and_nothing_else() -> None:
    bridged = Bridged()
    await bridged.append("orders", 1, 25)
    published_twice = asyncio.Event()
    moved = 0

    async def stall(name: str) -> None:
        nonlocal moved
        if name == "orders.cursors.advance":
            moved += 1
            if moved == 2:
                published_twice.set()
                await asyncio.Event().wait()

    async with bridged.running(bridged.open(Seams(before=stall))):
        await published_twice.wait()
    assert bridged.sequences("order-events")["order:e1"] == list(range(1, 21))
    async with bridged.running():
        await bridged.has("order-events", 35)
    found = bridged.sequences("order-events")["order:e1"]
    assert found == [*range(1, 21), *range(11, 26)]
    assert firsts(found) == list(range(1, 26))


@virtually
async def test_an_unknown_outcome_is_published_again_in_order() -> None:
    bridged = Bridged()
    await bridged.append("orders", 1, 30)
    calls = 0

    async def lose(name: str) -> None:
        nonlocal calls
        if name == "events.publish":
            calls += 1
            if calls == 2:
                raise OutcomeUnknown("no answer")

    bridged.broker.seams.after = lose
    async with bridged.running():
        await bridged.has("order-events", 40)
    found = bridged.sequences("order-events")["order:e1"]
    assert firsts(found) == list(range(1, 31))


@virtually
async def test_while_the_broker_is_away_nothing_is_kept_but_a_batch_a_feed_and_then_all_of_it_comes() -> None:
    bridged = Bridged()
    away, held = True, 0

    async def fail(name: str) -> None:
        if away and name.startswith("events."):
            raise StoreUnavailable("kafka: away")

    bridged.broker.seams.before = fail
    await bridged.append("orders", 1, 200)
    with structlog.testing.capture_logs() as logs:
        async with bridged.running() as feeds:
            await asyncio.sleep(300)
            held = max(feed["behind"] for feed in feeds.describe())
            assert await bridged.stores.cursors["orders"].positions("kafka-bridge") == {}
            away = False
            await bridged.has("order-events", 200)
    assert held == 200
    assert bridged.sequences("order-events")["order:e1"] == list(range(1, 201))
    assert all(line["event"] != "consumer.failed" for line in logs)


@virtually
async def test_what_is_too_large_for_the_broker_goes_without_its_data_and_holds_up_nothing() -> None:
    bridged = Bridged()
    bridged.broker.message_bytes_max = 6_000
    large = msgspec.json.encode({"id": "p1", "description": "x" * 8_000})
    rows = [
        msgspec.structs.replace(event("p1", n, entity_type="product", body=body), type="product.updated")
        for n, body in ((1, b'{"id":"p1"}'), (2, large), (3, b'{"id":"p1"}'))
    ]
    publisher = bridged.broker.publisher()
    bridge = KafkaBridge(publisher, message_bytes_max=40_000)
    refused = 0
    while True:
        try:
            await bridge.handle(rows)
        except TooLarge:
            refused += 1
        else:
            break
    found = [msgspec.json.decode(value) for value in bridged.broker.values("catalog-events")]
    assert refused == 3
    assert [(one["sequence"], one.get("dataomitted", False)) for one in found] == [
        ("1", False),
        ("2", True),
        ("3", False),
    ]


async def test_what_has_no_topic_is_said_and_passed_over() -> None:
    broker = MemoryBroker()
    bridge = KafkaBridge(broker.publisher())
    with structlog.testing.capture_logs() as logs:
        await bridge.handle([event("x", 1, entity_type="planet"), event("ord_1", 1)])
    assert [line["event"] for line in logs] == ["bridge.no_topic"]
    assert len(broker.values("order-events")) == 1


async def test_topics_are_made_again_after_a_fault() -> None:
    broker = MemoryBroker()
    bridge = KafkaBridge(broker.publisher())
    await bridge.handle([event("ord_1", 1)])
    broker.topics.clear()
    with pytest.raises(StoreUnavailable):
        await bridge.handle([event("ord_1", 2)])
    await bridge.handle([event("ord_1", 2)])
    assert len(broker.values("order-events")) == 1


# --- who runs where ---------------------------------------------------------------------------------------


def names(parts: Parts) -> tuple[list[str], list[str]]:
    return [one.name for one in parts.consumers], [consumer.name for consumer, _ in parts.subscribed]


async def test_without_a_broker_consumers_read_the_stores_and_with_one_only_the_bridge_does() -> None:
    without, with_broker = open_memory_stores(lambda: 0), Bridged().stores
    assert names(consumers_parts(without, lambda: 0, SETTINGS)) == (
        ["unread-carts", "notifier", "search-indexer"],
        [],
    )
    assert names(bridge_parts(without, lambda: 0, SETTINGS)) == ([], [])
    assert names(consumers_parts(with_broker, lambda: 0, SETTINGS)) == ([], ["notifier", "search-indexer"])
    assert names(bridge_parts(with_broker, lambda: 0, SETTINGS)) == (["kafka-bridge"], [])
    assert consumers_of(with_broker, lambda: 0) == []


def test_the_bridge_has_a_process_of_its_own_where_there_is_a_kafka() -> None:
    assert set(singletons(KafkaSettings(kafka_bootstrap_servers=None))) == {"consumers"}
    assert set(singletons(KafkaSettings(kafka_bootstrap_servers="k:9092"))) == {"consumers", "kafka_bridge"}


@pytest.mark.parametrize("servers", ["", "kafka", "http://kafka:9092", "a:1,,b:2", "a:1 b:2"])
def test_servers_that_are_none_are_refused_by_the_setting_s_name(servers: str) -> None:
    with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVERS"):
        KafkaSettings(kafka_bootstrap_servers=servers)


def test_sasl_without_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="KAFKA_SASL_PASSWORD"):
        KafkaSettings(kafka_bootstrap_servers="k:1", kafka_security_protocol="SASL_SSL")
