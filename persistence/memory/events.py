"""A broker in memory: topics of partitions, and groups with one member each."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from persistence.errors import StoreUnavailable, TooLarge, WriteRefused
from persistence.memory.seams import Seams
from persistence.records import EventMessage, ReceivedMessage, TopicSpec

PARTITIONS = 4


class MemoryBroker:
    """Messages and offsets of every client that was opened by it. Hooks see `events.<method>`."""

    def __init__(self, seams: Seams | None = None, *, message_bytes_max: int = 1_000_000) -> None:
        self.seams = seams or Seams()
        self.message_bytes_max = message_bytes_max
        self.topics: dict[str, list[list[ReceivedMessage]]] = {}
        self.compacted: set[str] = set()
        self.offsets: dict[tuple[str, str, int], int] = defaultdict(int)
        self.members: dict[str, object] = {}
        self.written = asyncio.Event()

    def publisher(self) -> "MemoryPublisher":
        """See `EventBroker.publisher`."""
        return MemoryPublisher(self)

    def subscription(self, group: str, topics: Sequence[str], limit: int) -> "MemorySubscription":
        """See `EventBroker.subscription`. The newest member of a group has all of it."""
        _refuse_nameless(topics)
        return MemorySubscription(self, group, tuple(topics), limit)

    async def read(self, topics: Sequence[str], *, from_start: bool, until_end: bool) -> AsyncIterator[ReceivedMessage]:
        """See `EventBroker.read`."""
        _refuse_nameless(topics)
        missing = sorted(set(topics) - self.topics.keys())
        if missing:
            raise StoreUnavailable(f"memory has no topic {', '.join(missing)}")
        partitions = [(topic, number) for topic in topics for number in range(PARTITIONS)]
        ends = {(topic, number): len(self.topics[topic][number]) for topic, number in partitions}
        positions = dict.fromkeys(partitions, 0) if from_start else dict(ends)
        while True:
            written = self.written
            for topic, number in partitions:
                for message in self.topics[topic][number][positions[topic, number] :]:
                    if until_end and message.offset >= ends[topic, number]:
                        break
                    positions[topic, number] = message.offset + 1
                    yield message
            if until_end:
                return
            await written.wait()

    async def ping(self) -> None:
        """See `EventBroker.ping`."""
        await self.seams.call("events.ping", lambda: None)

    def write(self, messages: Sequence[EventMessage]) -> None:
        """Append these in order."""
        if any(len(message.value) > self.message_bytes_max for message in messages):
            raise TooLarge("memory: a message is too large")
        for message in messages:
            if message.topic not in self.topics:
                raise StoreUnavailable(f"memory has no topic {message.topic}")
            number = crc32(message.key.encode()) % PARTITIONS
            partition = self.topics[message.topic][number]
            partition.append(
                ReceivedMessage(
                    topic=message.topic,
                    partition=number,
                    offset=len(partition),
                    key=message.key.encode(),
                    value=message.value,
                    headers=message.headers,
                )
            )
        self.written.set()
        self.written = asyncio.Event()

    def values(self, topic: str) -> list[bytes]:
        """What the messages of a topic say, partition by partition."""
        return [message.value or b"" for partition in self.topics.get(topic, ()) for message in partition]


@dataclass(slots=True)
class MemoryPublisher:
    """Writes all or nothing."""

    broker: MemoryBroker

    async def prepare(self, topics: Sequence[TopicSpec]) -> None:
        """See `EventPublisher.prepare`."""

        def prepare() -> None:
            for topic in topics:
                if not topic.name or len(topic.name) > 249:
                    raise WriteRefused(f"memory: topic {topic.name[:20]!r} cannot be made")
                self.broker.topics.setdefault(topic.name, [[] for _ in range(PARTITIONS)])
                if topic.compacted:
                    self.broker.compacted.add(topic.name)

        await self.broker.seams.call("events.prepare", prepare)

    async def publish(self, messages: Sequence[EventMessage]) -> None:
        """See `EventPublisher.publish`."""
        await self.broker.seams.call("events.publish", lambda: self.broker.write(messages))

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class MemorySubscription:
    """A member of a group; an older one reads on, and commits nothing any more."""

    broker: MemoryBroker
    group: str
    topics: tuple[str, ...]
    limit: int
    in_hand: Sequence[ReceivedMessage] = ()
    joined: bool = False
    _member: object = field(default_factory=object)

    async def next(self) -> Sequence[ReceivedMessage]:
        """See `EventSubscription.next`."""
        if not self.joined:
            self.broker.members[self.group] = self._member
            self.joined = True
        while not self.in_hand:
            written = self.broker.written
            self.in_hand = await self.broker.seams.call("events.next", self._waiting)
            if not self.in_hand:
                await written.wait()
        return self.in_hand

    async def commit(self) -> bool:
        """See `EventSubscription.commit`."""
        return await self.broker.seams.call("events.commit", self._commit)

    def behind(self) -> int:
        """See `EventSubscription.behind`."""
        return sum(
            len(partition) - self.broker.offsets[self.group, topic, number]
            for topic in self.topics
            for number, partition in enumerate(self.broker.topics.get(topic, ()))
        )

    async def close(self) -> None:
        """See `EventSubscription.close`."""
        self.in_hand, self.joined = (), False
        if self.broker.members.get(self.group) is self._member:
            del self.broker.members[self.group]

    def _waiting(self) -> Sequence[ReceivedMessage]:
        found: list[ReceivedMessage] = []
        for topic in self.topics:
            for number, partition in enumerate(self.broker.topics.get(topic, ())):
                found += partition[self.broker.offsets[self.group, topic, number] :]
        return found[: self.limit]

    def _commit(self) -> bool:
        messages, self.in_hand = self.in_hand, ()
        if self.broker.members.get(self.group) is not self._member:
            self.joined = False
            return False
        for message in messages:
            self.broker.offsets[self.group, message.topic, message.partition] = message.offset + 1
        return bool(messages)


def _refuse_nameless(topics: Sequence[str]) -> None:
    if not topics:
        raise WriteRefused("no topic is named")
