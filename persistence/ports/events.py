"""The broker that events are published to, and read from by consumer groups."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from persistence.records import EventMessage, ReceivedMessage, TopicSpec


class EventPublisher(Protocol):
    """Writes messages to topics."""

    async def prepare(self, topics: Sequence[TopicSpec]) -> None:
        """Make those topics that are missing; what is there stays as it is.

        Raises `WriteRefused` for what the broker will never do: a name or number it does not take, a missing right.
        """

    async def publish(self, messages: Sequence[EventMessage]) -> None:
        """Write these, and return when all are as durable as the broker makes them.

        Of one topic and key a message is written only after the one before it was acknowledged or in one batch with it:
        whatever fails, no message stands in the topic for the first time before its predecessors. Raises `StoreError`:
        any of them may be written, or may yet be; publish them all again. `TooLarge`: one of them never will be.
        """

    async def close(self) -> None:
        """Let go of connections."""


class EventSubscription(Protocol):
    """One member of a consumer group: the group reads every message of its topics, each partition in order.

    Another member (a newer process) may take over partitions at any time; it begins behind the last `commit`.
    """

    async def next(self) -> Sequence[ReceivedMessage]:
        """The next messages; waits until there are any.

        The same again until `commit` has returned, unless another member has got their partitions meanwhile.
        """

    async def commit(self) -> bool:
        """Put the last messages behind the group. False if another member has got their partitions: they come there."""

    def behind(self) -> int:
        """How many messages are known to wait."""

    async def close(self) -> None:
        """Leave the group."""


class EventBroker(Protocol):
    """Where topics are. Opening one of these connects to nothing: each method's result does, on first use."""

    def publisher(self) -> EventPublisher:
        """A new publisher; close it."""

    def subscription(self, group: str, topics: Sequence[str], limit: int) -> EventSubscription:
        """A new member of a group, with at most `limit` messages at once; a new group begins at the oldest message."""

    def read(self, topics: Sequence[str], *, from_start: bool, until_end: bool) -> AsyncIterator[ReceivedMessage]:
        """Messages without a group: from the oldest or from now on; up to what is there now, or for ever.

        Raises `StoreError`, also for a topic that is not there.
        """

    async def ping(self) -> None:
        """Raises `StoreUnavailable` unless a broker answers."""
