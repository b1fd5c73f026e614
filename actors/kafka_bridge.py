"""Publishes every event of the platform to the broker: a consumer of all journals and outboxes."""

from collections.abc import Sequence
from typing import Final

import structlog

from actors.events.cloud_events import message_of
from actors.events.facts import COMPACTED, ENTITIES, TOPICS
from persistence.errors import StoreError, TooLarge
from persistence.ports import EventPublisher
from persistence.records import JOURNAL_SERVICES, EventMessage, JournalService, NewEvent, OutboxService, TopicSpec

log = structlog.get_logger(__name__)

NAME: Final = "kafka-bridge"
MESSAGE_BYTES_MAX: Final = 900_000
_MESSAGE_BYTES_FLOOR: Final = 4_000

TOPIC_SPECS: Final = tuple(TopicSpec(name=topic, compacted=topic in COMPACTED) for topic in TOPICS)


class KafkaBridge:
    """Follows all journals and empties all outboxes.

    Guarantees: an event is behind the bridge only when the broker has acknowledged it and all before it of its entity;
    so every event is published at least once, and an entity's are in order, if one looks at the first of each. While
    the broker is away each feed keeps one batch, and nothing else waits for it. A message that is too large is published
    without its data, so that no sequence has a gap; so are internal events (`actors.events.facts`).
    """

    def __init__(self, publisher: EventPublisher, *, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._publisher = publisher
        self._message_bytes_max = message_bytes_max
        self._prepared = False

    @property
    def name(self) -> str:
        """See `Consumer`."""
        return NAME

    @property
    def journals(self) -> Sequence[JournalService]:
        """See `Consumer`."""
        return JOURNAL_SERVICES

    @property
    def outboxes(self) -> Sequence[OutboxService]:
        """See `Consumer`."""
        return ("carts", "catalog", "users")

    async def handle(self, events: Sequence[NewEvent]) -> None:
        """Publish these; returns when all are acknowledged. Raises `StoreError`: they come again."""
        if not self._prepared:
            await self._publisher.prepare(TOPIC_SPECS)
            self._prepared = True
        try:
            await self._publisher.publish(self._messages(events))
        except TooLarge:
            # Our limit is above the broker's: what is too large for it is told without its data, from now on.
            self._message_bytes_max = max(self._message_bytes_max // 2, _MESSAGE_BYTES_FLOOR)
            log.warning("bridge.too_large", message_bytes_max=self._message_bytes_max)
            raise
        except StoreError:
            self._prepared = False  # topics may have gone with the broker
            raise

    def _messages(self, events: Sequence[NewEvent]) -> list[EventMessage]:
        messages = []
        for event in events:
            if event.entity_type not in ENTITIES:
                log.error("bridge.no_topic", entity_type=event.entity_type, type=event.type)
                continue
            messages.append(message_of(event, bytes_max=self._message_bytes_max))
        return messages
