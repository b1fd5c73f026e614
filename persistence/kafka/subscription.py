"""A member of a Kafka consumer group; offsets are committed after the messages were taken in."""

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError

from persistence.kafka.connections import fault, options
from persistence.kafka.topics import refuse_nameless
from persistence.kafka_settings import KafkaSettings
from persistence.records import ReceivedMessage

log = structlog.get_logger(__name__)

_POLL_MS = 1_000
_SESSION_MS = 6_000
"""The least that brokers allow by default: so long a member that was killed keeps its partitions from the next one."""
_HEARTBEAT_MS = 1_500
_FAULTS = (KafkaError, OSError, TimeoutError, ConsumerStoppedError)


class KafkaSubscription:
    """Opened on first use, and again after any fault: it goes on behind the group's last commit."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str], limit: int) -> None:
        refuse_nameless(topics)
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._limit = limit
        self._consumer: AIOKafkaConsumer | None = None
        self._in_hand: Sequence[ReceivedMessage] = ()
        self._positions: dict[TopicPartition, int] = {}

    async def next(self) -> Sequence[ReceivedMessage]:
        """See `EventSubscription.next`."""
        if self._in_hand:
            return self._in_hand
        try:
            consumer = await self._opened()
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._limit)
                records = [record for records in found.values() for record in records]
                if records:
                    self._positions |= {partition: found[partition][-1].offset + 1 for partition in found}
                    self._in_hand = [received(record) for record in records]
                    return self._in_hand
        except _FAULTS as error:
            await self.close()
            raise fault(error, f"{self._group} cannot read") from error

    async def commit(self) -> bool:
        """See `EventSubscription.commit`."""
        if not self._in_hand or self._consumer is None:  # taken away while they were handled
            return False
        ends: dict[TopicPartition, int] = {}
        for message in self._in_hand:
            ends[TopicPartition(message.topic, message.partition)] = message.offset + 1
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1e3):
                await self._consumer.commit(ends)
        except (CommitFailedError, IllegalStateError):  # the partitions are somebody else's
            await self.close()
            return False
        except _FAULTS as error:
            await self.close()
            raise fault(error, f"{self._group} cannot commit") from error
        self._in_hand = ()
        return True

    def behind(self) -> int:
        """See `EventSubscription.behind`. As of the last fetch of each partition."""
        consumer = self._consumer
        if consumer is None:
            return 0
        waiting = len(self._in_hand)
        for partition, position in self._positions.items():
            waiting += max(0, (consumer.highwater(partition) or 0) - position)
        return waiting

    async def close(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        self._taken_away()
        if consumer is not None:
            await _stop(consumer)

    async def _opened(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=_SESSION_MS,
                heartbeat_interval_ms=_HEARTBEAT_MS,
                max_partition_fetch_bytes=self._settings.kafka_message_bytes_max + 65_536,
                **options(self._settings),
            )
            try:
                consumer.subscribe(self._topics, listener=_Revoked(self))
                async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1e3):
                    await consumer.start()
            except BaseException:
                await _stop(consumer)
                raise
            self._consumer = consumer
            log.info("kafka.subscribed", group=self._group, topics=self._topics)
        return self._consumer

    def _taken_away(self) -> None:
        """Whoever has the partitions now begins behind the last commit; so do we, with those that come back."""
        self._in_hand = ()
        self._positions = {}


class _Revoked(ConsumerRebalanceListener):  # type: ignore[misc]
    """Forgets what was in hand when partitions are handed out anew."""

    def __init__(self, subscription: KafkaSubscription) -> None:
        self._subscription = subscription

    def on_partitions_revoked(self, revoked: object) -> None:
        """Called before a rebalance."""
        if revoked:
            self._subscription._taken_away()

    def on_partitions_assigned(self, assigned: object) -> None:
        """Called after a rebalance."""


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """It takes its leave of the group; a broker that is away is not waited for."""
    try:
        async with asyncio.timeout(2):
            await consumer.stop()
    except _FAULTS:
        log.info("kafka.left_without_a_word")


def received(record: ConsumerRecord) -> ReceivedMessage:
    """A record of the driver as ours."""
    return ReceivedMessage(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple((str(name), bytes(value)) for name, value in record.headers if value is not None),
    )
