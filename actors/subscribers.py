"""The consumers that read from the broker's topics once there is one: who, of which topics, in which group."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from actors.consumer import Consumer
from actors.consumer_settings import ConsumerSettings
from actors.event_sources import EventSource
from actors.events.cloud_events import PublishedEvent
from actors.notifications.occasions import TYPE_OF
from actors.notifier import Notifier
from actors.search_indexer import SearchIndexer
from actors.topic_source import Restore, TopicSource, as_published, new_event
from persistence.ports import EventBroker, EventPublisher, EventSubscription
from persistence.records import JournalEvent, NewEvent
from persistence.stores import Stores

log = structlog.get_logger(__name__)

GROUP_PREFIX: Final = "stampede-"
NOTIFIER_TOPICS: Final = ("order-events", "user-events")
INDEXER_TOPICS: Final = ("catalog-events",)


class FromJournal:
    """Gives the notifier the journal's events for the published ones, which have nothing that a message needs.

    Of orders only those events that customers hear of; all others as they were published.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def __call__(self, events: Sequence[PublishedEvent]) -> Sequence[NewEvent]:
        """See `Restore`. Raises `StoreError`."""
        told = [event for event in events if event.entity_type == "order" and event.type in TYPE_OF]
        stored = await self._stored(told) if told else {}
        restored: list[NewEvent] = []
        for event in events:
            if event.entity_type != "order":
                restored.append(new_event(event))
            elif event.type in TYPE_OF:
                found = stored.get((event.entity_id, event.sequence))
                if found is None:
                    log.warning("notifier.not_in_journal", event_id=f"{event.subject}:{event.sequence}")
                else:
                    restored.append(found)
        return restored

    async def _stored(self, told: Sequence[PublishedEvent]) -> dict[tuple[str, int], JournalEvent]:
        rows = await self._stores.orders.load(sorted({event.entity_id for event in told}))
        wanted: dict[int, list[int]] = defaultdict(list)
        for event in told:
            row = rows.get(event.entity_id)
            if row is not None and event.sequence <= len(row.seqs):
                wanted[row.shard].append(row.seqs[event.sequence - 1])
        found: dict[tuple[str, int], JournalEvent] = {}
        for shard, seqs in wanted.items():
            for event_ in await self._stores.journals["orders"].read_at(shard, sorted(seqs)):
                found[event_.entity_id, event_.version] = event_
        return found


class Subscribers:
    """The consumers of topics, each a member of its group, and what they share. Close them."""

    def __init__(
        self, stores: Stores, events: EventBroker, now_ms: Callable[[], int], settings: ConsumerSettings
    ) -> None:
        self._events = events
        self._limit = settings.page_events_max
        self._publisher: EventPublisher = events.publisher()
        self._opened: list[EventSubscription] = []
        self.feeds: list[tuple[Consumer, EventSource]] = [
            self._feed(Notifier(stores, now_ms), NOTIFIER_TOPICS, FromJournal(stores)),
            self._feed(SearchIndexer(stores.catalog, stores.search), INDEXER_TOPICS, as_published),
        ]

    async def close(self) -> None:
        """Leave the groups."""
        for subscription in self._opened:
            await subscription.close()
        await self._publisher.close()

    def _feed(self, consumer: Consumer, topics: Sequence[str], restore: Restore) -> tuple[Consumer, EventSource]:
        subscription = self._events.subscription(GROUP_PREFIX + consumer.name, topics, self._limit)
        self._opened.append(subscription)
        return consumer, TopicSource(subscription, topics, self._publisher, restore)
