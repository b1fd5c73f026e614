"""A consumer's events from the broker's topics, as a member of its consumer group.

next ──► read ──unreadable──► <topic>.dlq
           │ ──seen, or none of ours──► passed over
           ▼
         restore ──► handle ──► done: the group's offsets move
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import structlog

from actors.events.cloud_events import PublishedEvent, Unreadable, dead_letter_key, read
from actors.events.facts import COMPACTED, DEAD_LETTERS
from persistence.ports import EventPublisher, EventSubscription
from persistence.records import EventMessage, NewEvent, ReceivedMessage, TopicSpec

log = structlog.get_logger(__name__)

SUBJECTS_REMEMBERED_MAX: Final = 50_000

Restore = Callable[[Sequence[PublishedEvent]], Awaitable[Sequence[NewEvent]]]
"""What a consumer gets for these. Events that it has no use for may be left out."""


async def as_published(events: Sequence[PublishedEvent]) -> Sequence[NewEvent]:
    """Events with their public data for a body: for whoever needs no more than subject and sequence."""
    return [new_event(event) for event in events]


def new_event(event: PublishedEvent) -> NewEvent:
    """A published event as consumers take them."""
    return NewEvent(
        entity_type=event.entity_type,
        entity_id=event.entity_id,
        version=event.sequence,
        type=event.type,
        schema_version=1,
        body=msgspec.json.encode(event.data),
        command_id="",
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        traceparent=event.traceparent,
        at_ms=event.at_ms,
    )


class TopicSource:
    """An `EventSource` over topics.

    Guarantees: offsets are committed only after the consumer took in what is before them. What was seen is dropped by
    (subject, sequence), as far as memory goes: 50,000 subjects, of this process; the consumer must bear repeats all the
    same. A message that cannot be read goes to its topic's dead letters, with the reason, and holds up nothing.
    """

    def __init__(
        self,
        subscription: EventSubscription,
        topics: Sequence[str],
        publisher: EventPublisher,
        restore: Restore = as_published,
    ) -> None:
        self.name = "topics " + ", ".join(topics)
        self._subscription = subscription
        self._topics = topics
        self._publisher = publisher
        self._restore = restore
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._reached: dict[str, int] = {}
        self._buried: set[tuple[str, int, int]] = set()

    async def take(self) -> None:
        """See `EventSource.take`. The group gives partitions to its members; here only the topics are made."""
        await self._publisher.prepare(
            [
                *(TopicSpec(name=topic, compacted=topic in COMPACTED) for topic in self._topics),
                *(TopicSpec(name=topic + DEAD_LETTERS) for topic in self._topics),
            ]
        )

    async def next(self) -> Sequence[NewEvent]:
        """See `EventSource.next`."""
        while True:
            messages = await self._subscription.next()
            events = await self._readable(messages)
            restored = await self._restore(events) if events else ()
            if restored:
                return restored
            await self.done()

    async def done(self) -> bool:
        """See `EventSource.done`. False also when a new member got our partitions, which is no fault."""
        if not await self._subscription.commit():
            return False
        for subject, sequence in self._reached.items():
            self._seen[subject] = sequence
            self._seen.move_to_end(subject)
        while len(self._seen) > SUBJECTS_REMEMBERED_MAX:
            self._seen.popitem(last=False)
        self._buried.clear()
        return True

    def behind(self) -> int:
        """See `EventSource.behind`."""
        return self._subscription.behind()

    async def _readable(self, messages: Sequence[ReceivedMessage]) -> list[PublishedEvent]:
        self._reached = {}
        events: list[PublishedEvent] = []
        dead: list[tuple[ReceivedMessage, str]] = []
        for message in messages:
            if message.value is None:  # a tombstone of a compacted topic
                continue
            try:
                event = read(message.value)
            except Unreadable as unreadable:
                dead.append((message, str(unreadable)))
                continue
            if event is None:
                continue
            last = self._reached.get(event.subject, self._seen.get(event.subject, 0))
            if event.sequence > last:
                self._reached[event.subject] = event.sequence
                events.append(event)
        await self._bury(dead)
        return events

    async def _bury(self, dead: Sequence[tuple[ReceivedMessage, str]]) -> None:
        # The same messages come again if the consumer fails over their neighbours.
        new = [(one, why) for one, why in dead if (one.topic, one.partition, one.offset) not in self._buried]
        if not new:
            return
        await self._publisher.publish([_dead_letter(message, why) for message, why in new])
        for message, why in new:
            self._buried.add((message.topic, message.partition, message.offset))
            place = f"{message.topic}/{message.partition}/{message.offset}"
            log.warning("topics.dead_letter", place=place, why=why)


def _dead_letter(message: ReceivedMessage, why: str) -> EventMessage:
    """The message as it was, with what is wrong with it in its headers."""
    key = message.key.decode(errors="replace") if message.key else dead_letter_key(message.value)
    return EventMessage(
        topic=message.topic + DEAD_LETTERS,
        key=key,
        value=message.value or b"",
        headers=(
            *message.headers,
            ("stampede-reason", why.encode()),
            ("stampede-topic", message.topic.encode()),
            ("stampede-partition", str(message.partition).encode()),
            ("stampede-offset", str(message.offset).encode()),
        ),
    )
