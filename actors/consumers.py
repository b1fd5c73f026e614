"""CONSUMERS of the platform's events, and what runs beside them: the one place that names them all.

Without a broker they read the journals and outboxes themselves. With one the bridge, in a process of its own, is the
only one that does; the others are consumer groups of its topics (`actors.subscribers`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from actors.consumer import BackgroundTask, Consumer
from actors.consumer_metrics import register_consumers
from actors.consumer_settings import ConsumerSettings
from actors.event_sources import EventSource
from actors.feeds import Feeds, IsStanding
from actors.janitor import Janitor
from actors.kafka_bridge import KafkaBridge
from actors.notifications.sender import Sender
from actors.notifier import Notifier
from actors.search_indexer import FirstBuild, SearchIndexer
from actors.subscribers import Subscribers
from cluster.clock import DatabaseClock
from cluster.host_reports import pack_families
from persistence.kafka_settings import KafkaSettings
from persistence.records import JournalService, NewEvent, OutboxService
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores

NowMs = Callable[[], int]
"""The database's time (earliest), in ms since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadOutbox:
    """Drops the events of an outbox that nothing follows yet, so that its table does not grow without end."""

    service: OutboxService

    @property
    def name(self) -> str:
        """See `Consumer`."""
        return f"unread-{self.service}"

    @property
    def journals(self) -> Sequence[JournalService]:
        """See `Consumer`."""
        return ()

    @property
    def outboxes(self) -> Sequence[OutboxService]:
        """See `Consumer`."""
        return (self.service,)

    async def handle(self, events: Sequence[NewEvent]) -> None:
        """Nothing: the rows go, a batch at a time."""


def consumers_of(stores: Stores, now_ms: NowMs) -> list[Consumer]:
    """Every consumer of journals and outboxes, a line each; with a broker there is none but the bridge."""
    if stores.events is not None:
        return []
    return [
        UnreadOutbox(service="carts"),
        Notifier(stores, now_ms),
        SearchIndexer(stores.catalog, stores.search),
    ]


def background_of(stores: Stores, now_ms: NowMs) -> list[BackgroundTask]:
    """What runs beside them, a line each."""
    return [
        Sender(stores.notifications, stores.mailers, now_ms),
        Janitor(stores.retention, now_ms),
        FirstBuild(stores.catalog, stores.search),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a process of consumers runs, and how to let go of what that opened."""

    consumers: Sequence[Consumer]
    background: Sequence[BackgroundTask] = ()
    subscribed: Sequence[tuple[Consumer, EventSource]] = ()
    close: Callable[[], Awaitable[None]]


def consumers_parts(stores: Stores, now_ms: NowMs, settings: ConsumerSettings) -> Parts:
    """All consumers but the bridge, wherever their events come from."""
    consumers, background = consumers_of(stores, now_ms), background_of(stores, now_ms)
    if stores.events is None:
        return Parts(consumers=consumers, background=background, close=_nothing_to_close)
    subscribers = Subscribers(stores, stores.events, now_ms, settings)
    return Parts(consumers=consumers, background=background, subscribed=subscribers.feeds, close=subscribers.close)


def bridge_parts(stores: Stores, _now_ms: NowMs, _settings: ConsumerSettings) -> Parts:
    """The bridge; nothing at all if there is no broker to publish to."""
    if stores.events is None:
        return Parts(consumers=(), close=_nothing_to_close)
    publisher = stores.events.publisher()
    bridge = KafkaBridge(publisher, message_bytes_max=KafkaSettings().kafka_message_bytes_max)
    return Parts(consumers=[bridge], close=publisher.close)


async def _nothing_to_close() -> None:
    """These consumers opened nothing."""


class ConsumersProcess:
    """The consumers with the stores and the clock they need. Knows no Ray: `cluster.singleton_actor` carries it."""

    def __init__(
        self,
        is_standing: IsStanding,
        *,
        open_stores: Callable[[], Awaitable[Stores]],
        settings: ConsumerSettings | None = None,
        parts: Callable[[Stores, NowMs, ConsumerSettings], Parts] = consumers_parts,
    ) -> None:
        self._parts = parts
        self._is_standing = is_standing
        self._open_stores = open_stores
        self._settings = settings or ConsumerSettings()
        self._feeds: Feeds | None = None
        self._registry = CollectorRegistry()
        register_consumers(self._registry, lambda: self.describe()["feeds"])

    async def run(self) -> None:
        """Feed them until a newer process has taken over, or this is cancelled; then close what was opened."""
        stores = await self._open_stores()
        clock = DatabaseClock(stores.ownership.now_ms)
        parts = Parts(consumers=(), close=_nothing_to_close)
        try:
            await clock.start()
            now_ms: NowMs = lambda: clock.now().earliest_ms  # noqa: E731 - too small for a name of its own
            parts = self._parts(stores, now_ms, self._settings)
            self._feeds = Feeds(
                stores, parts.consumers, parts.background, self._settings, self._is_standing, parts.subscribed
            )
            await self._feeds.run()
        finally:
            await parts.close()
            await clock.stop()
            await stores.close()

    def describe(self) -> dict[str, Any]:
        """What is fed, and how far behind it is, as plain data."""
        return {"feeds": [] if self._feeds is None else self._feeds.describe()}

    def metrics(self) -> bytes:
        """What is fed and how far behind it is, as `cluster.host_reports.unpack_families` reads it."""
        return pack_families(self._registry)


def build_consumers(is_standing: IsStanding) -> ConsumersProcess:
    """The consumers of a real platform; settings come from the environment."""
    return ConsumersProcess(is_standing, open_stores=partial(open_stores, StoreSettings()))


def build_bridge(is_standing: IsStanding) -> ConsumersProcess:
    """The bridge to the broker of a real platform; settings come from the environment."""
    return ConsumersProcess(is_standing, open_stores=partial(open_stores, StoreSettings()), parts=bridge_parts)
