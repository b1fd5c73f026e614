"""With a broker the notifier and the indexer get their events from topics, and do what they did without one."""

import asyncio
from dataclasses import replace

from actors.consumer_settings import ConsumerSettings
from actors.event_sources import EventSource
from actors.events.cloud_events import read
from actors.kafka_bridge import KafkaBridge
from actors.subscribers import Subscribers
from persistence.memory.events import MemoryBroker
from persistence.records import NewEvent, SearchQuery
from tests.shop_world import SHARDS, Shop, wall_ms
from tests.unit.notifications.feed import Feed
from tests.unit.notifications.test_notifier import cancel, deliver, refund, ship


async def published(shop: Shop, feed: Feed, broker: MemoryBroker) -> list[NewEvent]:
    """Bridge everything that is new."""
    events = await feed.news()
    await KafkaBridge(broker.publisher()).handle(events)
    return events


async def drained(subscribers: Subscribers) -> None:
    """Feed each consumer all that waits for it."""
    for consumer, source in subscribers.feeds:
        await source.take()
        while source.behind():
            events = await _next(source)
            if not events:
                break
            await consumer.handle(events)
            assert await source.done()


async def _next(source: EventSource) -> list[NewEvent]:
    try:
        async with asyncio.timeout(0.2):  # messages that tell nobody leave nothing to wait for
            return list(await source.next())
    except TimeoutError:
        return []


def subscribed(shop: Shop, broker: MemoryBroker) -> Subscribers:
    stores = replace(shop.stores, events=broker)
    return Subscribers(stores, broker, wall_ms, ConsumerSettings())


async def test_each_step_of_an_order_is_told_once_though_bodies_have_no_address(shop: Shop, feed: Feed) -> None:
    broker = MemoryBroker()
    ada = await shop.account()
    order = await shop.buy(ada, 2)
    await ship(shop, order["id"])
    await deliver(shop, order["id"])
    await published(shop, feed, broker)
    await drained(subscribed(shop, broker))
    mails = await feed.messages(order["id"])
    assert [mail.type for mail in mails] == ["order_confirmed", "order_shipped", "order_delivered"]
    assert {mail.recipient for mail in mails} == {"ada@example.com"}
    assert "BP-77" in mails[1].text_body
    welcomed = [mail.recipient for mail in await feed.messages() if mail.type == "welcome"]
    assert welcomed.count("ada@example.com") == 1
    for topic in broker.topics:
        assert not any(b"ada@example.com" in value or b"1 Main" in value for value in broker.values(topic))


async def test_refunds_and_cancels_are_told_as_without_a_broker(shop: Shop, feed: Feed) -> None:
    broker = MemoryBroker()
    order = await shop.buy(await shop.account())
    await refund(shop, order["paymentId"], 10)
    await cancel(shop, order["id"])
    await published(shop, feed, broker)
    await drained(subscribed(shop, broker))
    over_topics = await feed.types(order["id"])
    await Feed(shop.stores).follow()  # the same again, straight from the journal
    assert over_topics == await feed.types(order["id"]) == ["order_cancelled", "order_confirmed", "order_refunded"]


async def test_everything_published_twice_and_read_by_a_new_group_tells_nothing_twice(shop: Shop, feed: Feed) -> None:
    broker = MemoryBroker()
    order = await shop.buy(await shop.account())
    events = await published(shop, feed, broker)
    await drained(subscribed(shop, broker))
    before = len(await feed.messages())
    await KafkaBridge(broker.publisher()).handle(events)
    broker.offsets.clear()
    await drained(subscribed(shop, broker))
    assert len(await feed.messages()) == before
    assert await feed.types(order["id"]) == ["order_confirmed"]


async def test_every_event_of_the_journals_is_in_the_topics_without_a_gap(shop: Shop, feed: Feed) -> None:
    broker = MemoryBroker()
    order = await shop.buy(await shop.account())
    await refund(shop, order["paymentId"], 10)
    await cancel(shop, order["id"])
    bridge = KafkaBridge(broker.publisher())
    wanted: dict[str, list[int]] = {}
    for journal in shop.stores.journals.values():
        for shard in range(SHARDS):
            events = await journal.read(shard, 0, 1_000)
            await bridge.handle(events)
            for event in events:
                wanted.setdefault(f"{event.entity_type}:{event.entity_id}", []).append(event.version)
    found: dict[str, list[int]] = {}
    for topic in broker.topics:
        for value in broker.values(topic):
            event = read(value)
            assert event is not None
            found.setdefault(event.subject, []).append(event.sequence)
    assert found == wanted
    assert all(versions == list(range(1, len(versions) + 1)) for versions in wanted.values())


async def test_the_index_follows_the_catalog_over_its_topic(shop: Shop) -> None:
    broker = MemoryBroker()
    rows = await shop.stores.outboxes["catalog"].read(1_000)
    await KafkaBridge(broker.publisher()).handle([row.event for row in rows])
    for product in await shop.stores.catalog.products_behind("", 100):
        await shop.stores.search.remove({product.id: product.version - 1})
    before = await shop.stores.search.search(SearchQuery(text="", limit=100))
    await drained(subscribed(shop, broker))
    after = await shop.stores.search.search(SearchQuery(text="", limit=100))
    assert {row.event.entity_id for row in rows} <= {product.id for product in after.products}
    assert len(after.products) > len(before.products)
