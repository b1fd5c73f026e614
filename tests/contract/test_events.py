"""Event brokers: what is published is there, in order per key; a group reads all of it, and goes on where it stopped."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from persistence.errors import StoreError, StoreMisconfigured, StoreUnavailable, TooLarge, WriteRefused
from persistence.kafka.broker import KafkaBroker
from persistence.kafka_settings import KafkaSettings
from persistence.memory.events import MemoryBroker
from persistence.ports import EventBroker, EventPublisher, EventSubscription
from persistence.records import EventMessage, ReceivedMessage, TopicSpec
from tests.servers.kafka import KafkaProcess, guarded_kafka, kafka_process, kafka_servers

__all__ = ["guarded_kafka", "kafka_process", "kafka_servers"]

pytestmark = pytest.mark.timeout(120)
Opened = Callable[..., EventSubscription]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.slow)])
def broker(request: pytest.FixtureRequest) -> EventBroker:
    """An event broker: once in memory, once a Kafka."""
    if request.param == "memory":
        return MemoryBroker()
    servers: str = request.getfixturevalue("kafka_servers")
    return KafkaBroker(KafkaSettings(kafka_bootstrap_servers=servers, kafka_partitions=4))


@pytest.fixture
def topic() -> str:
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
async def publisher(broker: EventBroker, topic: str) -> AsyncIterator[EventPublisher]:
    publisher = broker.publisher()
    await publisher.prepare([TopicSpec(name=topic)])
    yield publisher
    await publisher.close()


@pytest.fixture
async def joined(broker: EventBroker, topic: str) -> AsyncIterator[Opened]:
    """Opens members of one group (of the test)."""
    async with AsyncExitStack() as opened:

        def join(group: str = "g", limit: int = 100) -> EventSubscription:
            subscription = broker.subscription(f"{group}-{topic}", [topic], limit)
            opened.push_async_callback(subscription.close)
            return subscription

        yield join


def messages(topic: str, count: int, keys: int = 5, first: int = 0) -> list[EventMessage]:
    return [EventMessage(topic=topic, key=f"k{n % keys}", value=b"%d" % n) for n in range(first, first + count)]


def by_key(received: list[ReceivedMessage]) -> dict[bytes | None, list[int]]:
    found: dict[bytes | None, list[int]] = {}
    for message in received:
        found.setdefault(message.key, []).append(int(message.value or b"-1"))
    return found


async def everything(broker: EventBroker, topic: str) -> list[ReceivedMessage]:
    return [message async for message in broker.read([topic], from_start=True, until_end=True)]


async def test_it_answers(broker: EventBroker) -> None:
    await broker.ping()


async def test_what_is_published_is_there_in_order_per_key_and_a_key_is_in_one_partition(
    broker: EventBroker, publisher: EventPublisher, topic: str
) -> None:
    sent = messages(topic, 1_000)
    await publisher.publish(sent[:600])
    await publisher.publish(sent[600:])
    received = await everything(broker, topic)
    assert by_key(received) == {b"k%d" % key: list(range(key, 1_000, 5)) for key in range(5)}
    assert len({(message.key, message.partition) for message in received}) == 5


async def test_headers_arrive_as_they_were(broker: EventBroker, publisher: EventPublisher, topic: str) -> None:
    headers = (("content-type", b"a/b"), ("x", b""), ("x", b"\xff"))
    await publisher.publish([EventMessage(topic=topic, key="ä", value=b"v", headers=headers)])
    (received,) = await everything(broker, topic)
    assert (received.topic, received.offset, received.key, received.headers) == (topic, 0, "ä".encode(), headers)


async def test_nothing_is_published_as_nothing(broker: EventBroker, publisher: EventPublisher, topic: str) -> None:
    await publisher.publish([])
    assert await everything(broker, topic) == []


async def test_topics_may_be_prepared_again_and_keep_what_they_have(
    broker: EventBroker, publisher: EventPublisher, topic: str
) -> None:
    await publisher.publish(messages(topic, 3))
    await publisher.prepare([TopicSpec(name=topic), TopicSpec(name=topic + "-c", compacted=True)])
    assert len(await everything(broker, topic)) == 3


async def test_a_topic_that_cannot_be_made_is_refused(publisher: EventPublisher) -> None:
    with pytest.raises(WriteRefused):
        await publisher.prepare([TopicSpec(name="x" * 300)])


async def test_a_topic_that_is_not_there_cannot_be_read(broker: EventBroker) -> None:
    with pytest.raises(StoreUnavailable, match="no topic missing"):
        await anext(broker.read(["missing"], from_start=True, until_end=True))


async def test_a_message_above_the_limit_is_refused_by_name_and_what_follows_is_not(
    broker: EventBroker, publisher: EventPublisher, topic: str
) -> None:
    large = EventMessage(topic=topic, key="k", value=b"x" * 2_000_000)

    async def publish_until_it_is_said() -> None:
        while True:  # batches get smaller first: a broker counts a batch as one
            try:
                await publisher.publish([*messages(topic, 2), large])
            except StoreUnavailable:
                continue

    with pytest.raises(TooLarge):
        await publish_until_it_is_said()
    await publisher.publish([EventMessage(topic=topic, key="k", value=b"7")])
    assert b"7" in {message.value for message in await everything(broker, topic)}


async def test_a_group_reads_everything_once_and_goes_on_behind_its_commit(
    publisher: EventPublisher, topic: str, joined: Opened
) -> None:
    await publisher.publish(messages(topic, 250))
    first, seen = joined(), []
    while len(seen) < 250:
        batch = await first.next()
        assert 0 < len(batch) <= 100
        assert await first.next() == batch
        seen += batch
        assert await first.commit()
    assert by_key(seen) == {b"k%d" % key: list(range(key, 250, 5)) for key in range(5)}
    assert first.behind() == 0
    await first.close()
    await publisher.publish(messages(topic, 1, first=250))
    second = joined()
    assert [message.value for message in await second.next()] == [b"250"]


async def test_what_was_not_committed_comes_again_to_the_next_member(
    publisher: EventPublisher, topic: str, joined: Opened
) -> None:
    await publisher.publish(messages(topic, 20))
    first = joined()
    in_hand = await first.next()
    await first.close()
    second, seen = joined(), set()
    while len(seen) < 20:
        seen |= {message.value for message in await second.next()}
        await second.commit()
    assert {message.value for message in in_hand} <= seen


async def test_groups_do_not_disturb_each_other(publisher: EventPublisher, topic: str, joined: Opened) -> None:
    await publisher.publish(messages(topic, 5, keys=1))
    for group in ("a", "b"):
        member = joined(group)
        assert len(await member.next()) == 5
        assert await member.commit()


async def test_a_member_that_lost_its_place_commits_nothing(
    publisher: EventPublisher, topic: str, joined: Opened
) -> None:
    await publisher.publish(messages(topic, 100, keys=100))
    older, newer = joined(), joined()
    assert await older.next()
    # It gets partitions, and so messages, only when the group was dealt anew: what the older has in hand is nobody's.
    taken = {message.value for message in await newer.next()}
    assert not await older.commit()
    assert await newer.commit()
    if older.behind():  # in Kafka it keeps some partitions, and begins behind the group's last commit
        assert taken.isdisjoint(message.value for message in await older.next())


async def test_a_reader_hears_what_comes(broker: EventBroker, publisher: EventPublisher, topic: str) -> None:
    await publisher.publish(messages(topic, 3))
    reading = broker.read([topic], from_start=False, until_end=False)
    heard = asyncio.ensure_future(_first(reading))

    async def keep_publishing() -> None:
        number = 100
        while not heard.done():
            await publisher.publish(messages(topic, 1, first=number))
            number += 1
            await asyncio.wait([heard], timeout=0.1)

    await keep_publishing()
    assert int((await heard).value or b"") >= 100
    await reading.aclose()  # type: ignore[attr-defined]


async def _first(reading: AsyncIterator[ReceivedMessage]) -> ReceivedMessage:
    return await anext(reading)


# --- Kafka alone ------------------------------------------------------------------------------------------


async def failing(call: Callable[[], Awaitable[object]]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call()
    return caught.value


async def test_without_a_broker_every_call_says_so_in_time() -> None:
    away = KafkaBroker(KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1", kafka_request_timeout_ms=2_000))
    publisher, member = away.publisher(), away.subscription("g", ["t"], 10)
    for call in (
        away.ping,
        lambda: publisher.prepare([TopicSpec(name="t")]),
        lambda: publisher.publish(messages("t", 1)),
        member.next,
        lambda: anext(away.read(["t"], from_start=True, until_end=True)),
    ):
        assert isinstance(await failing(call), StoreUnavailable)
    await publisher.close()
    await member.close()


@pytest.mark.slow
async def test_a_broker_that_was_killed_is_met_again_and_has_everything_that_it_acknowledged(
    kafka_process: KafkaProcess, topic: str
) -> None:
    broker = KafkaBroker(
        KafkaSettings(kafka_bootstrap_servers=kafka_process.servers, kafka_partitions=3, kafka_request_timeout_ms=3_000)
    )
    publisher = broker.publisher()
    await publisher.prepare([TopicSpec(name=topic)])
    member = broker.subscription("g", [topic], 50)
    await publisher.publish(messages(topic, 50))
    await member.next()
    kafka_process.kill()
    assert isinstance(await failing(lambda: publisher.publish(messages(topic, 50, first=50))), StoreError)
    await asyncio.to_thread(kafka_process.start)

    async def until_it_works(call: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await call()
            except StoreError:
                await asyncio.sleep(0.1)
            else:
                return

    await until_it_works(lambda: publisher.publish(messages(topic, 50, first=50)))
    seen: list[int] = []

    async def take() -> None:
        while len(set(seen)) < 100:
            batch = await member.next()
            await member.commit()
            seen.extend(int(message.value or b"-1") for message in batch)

    await until_it_works(take)
    assert set(seen) == set(range(100))
    await member.close()
    await publisher.close()


@pytest.mark.slow
async def test_a_password_is_used_and_a_wrong_one_is_said_to_be_wrong(guarded_kafka: KafkaProcess, topic: str) -> None:
    def opened(password: str, **others: str) -> KafkaBroker:
        given = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_username": "shop"}
        settings = {**given, "kafka_bootstrap_servers": guarded_kafka.servers, "kafka_sasl_password": password}
        return KafkaBroker(KafkaSettings.model_validate({**settings, **others}))

    broker = opened("pw")
    await broker.ping()
    publisher = broker.publisher()
    await publisher.prepare([TopicSpec(name=topic)])
    await publisher.publish(messages(topic, 3))
    await publisher.close()
    assert len(await everything(broker, topic)) == 3
    for wrong, setting in (
        (opened("canary"), "KAFKA_SASL_PASSWORD"),
        (opened("pw", kafka_sasl_mechanism="SCRAM-SHA-512"), "KAFKA_SASL_MECHANISM"),
    ):
        with pytest.raises(StoreMisconfigured, match=setting) as caught:
            await wrong.ping()
        assert "canary" not in str(caught.value)
