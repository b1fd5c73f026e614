"""Publishes to Kafka: `acks=all`, idempotent, in order."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from persistence.errors import OutcomeUnknown, StoreUnavailable, TooLarge, WriteRefused
from persistence.kafka.connections import fault, options
from persistence.kafka.topics import make_topics
from persistence.kafka_settings import KafkaSettings
from persistence.records import EventMessage, TopicSpec

_BATCH_BYTES_MAX = 512 * 1024
_ABANDON_TIMEOUT_S = 2.0
_partition_of = DefaultPartitioner()
"""As the Java client does it: whoever writes to our topics with our keys meets the same partitions."""


class KafkaPublisher:
    """One producer, made on first use and again after any fault.

    Of a partition only one batch is under way: what follows is sent when it is acknowledged, so nothing can stand before
    what it follows. The driver would go on with the next batch after one that failed, under sequence numbers that the
    broker may take for repeats, and drop; hence nothing more is sent by a producer that failed once, or whose caller
    lost patience. What it had under way may still be written, as a repeat.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._batch_bytes_max = _BATCH_BYTES_MAX
        self._closed = False

    async def prepare(self, topics: Sequence[TopicSpec]) -> None:
        """See `EventPublisher.prepare`."""
        await make_topics(self._settings, topics)

    async def publish(self, messages: Sequence[EventMessage]) -> None:
        """See `EventPublisher.publish`."""
        if not messages:
            return
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1e3):
                producer = await self._opened()
                await self._write(producer, messages)
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            await self._abandon(producer)
            raise self._too_large() from error
        except (KafkaError, OSError, TimeoutError) as error:
            await self._abandon(producer)
            said = fault(error, "nothing can be published")
            raise said if producer is None or isinstance(said, WriteRefused) else OutcomeUnknown(str(said)) from error
        except BaseException:
            await self._abandon(producer)
            raise

    async def close(self) -> None:
        """Let go of the connection. Call it when no `publish` runs."""
        self._closed = True
        await self._abandon(self._producer)

    async def _opened(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._closed:
                raise StoreUnavailable("kafka: the publisher is closed")
            if self._producer is None:
                producer = AIOKafkaProducer(
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=self._batch_bytes_max,
                    max_request_size=self._settings.kafka_message_bytes_max + 65_536,
                    **options(self._settings),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _write(self, producer: AIOKafkaProducer, messages: Sequence[EventMessage]) -> None:
        lanes: dict[tuple[str, int], list[EventMessage]] = defaultdict(list)
        for topic in {message.topic for message in messages}:
            partitions = sorted(await producer.partitions_for(topic))
            for message in messages:
                if message.topic == topic:
                    lanes[topic, _partition_of(message.key.encode(), partitions, partitions)].append(message)
        try:
            async with asyncio.TaskGroup() as group:
                for (topic, partition), lane in lanes.items():
                    group.create_task(_write_lane(producer, topic, partition, lane))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    def _too_large(self) -> TooLarge | StoreUnavailable:
        """The broker counts a batch as one: before a message is blamed, it must have been alone."""
        if self._batch_bytes_max > 1:
            self._batch_bytes_max = 1 if self._batch_bytes_max <= 16_384 else self._batch_bytes_max // 4
            return StoreUnavailable("kafka: a batch was too large; smaller ones follow")
        return TooLarge("kafka: a message is too large for its topic")

    async def _abandon(self, producer: Any) -> None:
        """Without a flush, which waits for as long as the broker is away."""
        is_ours = self._producer is producer
        if producer is None or not is_ours:
            return  # another caller has done it
        self._producer = None
        producer._closed = True
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_ABANDON_TIMEOUT_S):
                await producer.client.close()  # first, or what is under way would be waited for
                await producer._sender.close()


async def _write_lane(producer: AIOKafkaProducer, topic: str, partition: int, lane: Sequence[EventMessage]) -> None:
    """One partition's messages, a batch at a time."""
    done = 0
    while done < len(lane):
        batch = producer.create_batch()
        taken = done
        for message in lane[done:]:
            headers = list(message.headers)
            if batch.append(timestamp=None, key=message.key.encode(), value=message.value, headers=headers) is None:
                break
            taken += 1
        assert taken > done, "a batch takes at least one message, whatever its size"
        await (await producer.send_batch(batch, topic, partition=partition))
        done = taken
