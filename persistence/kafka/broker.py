"""Kafka as the platform's event broker."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from persistence.errors import StoreUnavailable
from persistence.kafka.connections import fault, options
from persistence.kafka.publisher import KafkaPublisher
from persistence.kafka.refusals import refusal
from persistence.kafka.subscription import KafkaSubscription, received
from persistence.kafka.topics import refuse_nameless
from persistence.kafka_settings import KafkaSettings
from persistence.records import ReceivedMessage

_FAULTS = (KafkaError, OSError, TimeoutError)


class KafkaBroker:
    """Opens clients of one Kafka. Connects to nothing by itself."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def publisher(self) -> KafkaPublisher:
        """See `EventBroker.publisher`."""
        return KafkaPublisher(self._settings)

    def subscription(self, group: str, topics: Sequence[str], limit: int) -> KafkaSubscription:
        """See `EventBroker.subscription`."""
        return KafkaSubscription(self._settings, group, topics, limit)

    async def read(self, topics: Sequence[str], *, from_start: bool, until_end: bool) -> AsyncIterator[ReceivedMessage]:
        """See `EventBroker.read`."""
        refuse_nameless(topics)
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            max_partition_fetch_bytes=self._settings.kafka_message_bytes_max + 65_536,
            **options(self._settings),
        )
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1e3):
                await consumer.start()
                partitions = await _partitions(consumer, topics)
                consumer.assign(partitions)
                await (consumer.seek_to_beginning if from_start else consumer.seek_to_end)(*partitions)
                ends = await consumer.end_offsets(partitions)
            left = {partition for partition in partitions if ends[partition] > await consumer.position(partition)}
            while left or not until_end:
                found = await consumer.getmany(timeout_ms=500)
                for records in found.values():
                    for record in records:
                        yield received(record)
                # By position, not by record: compaction and transactions leave offsets without a record.
                left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
        except _FAULTS as error:
            raise fault(error, "its topics cannot be read") from error
        finally:
            await consumer.stop()

    async def ping(self) -> None:
        """See `EventBroker.ping`. Raises `StoreMisconfigured` for one that refuses us."""
        admin = AIOKafkaAdminClient(**options(self._settings))
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1e3):
                await admin.start()
        except _FAULTS as error:
            raise await refusal(self._settings) or fault(error, "no broker answers") from error
        finally:
            await admin.close()


async def _partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    there = await consumer.topics()
    missing = sorted(set(topics) - set(there))
    if missing:
        raise StoreUnavailable(f"kafka has no topic {', '.join(missing)}")
    found = []
    for topic in topics:
        found += [TopicPartition(topic, number) for number in sorted(await consumer._client._wait_on_metadata(topic))]
    return found
