"""Feeds every consumer of a process, each at its own pace; and keeps running whatever else must run beside them.

take ──► next ──► handle ──► done ──ok──► next …     a fault anywhere: the same again, after a pause
 ▲                             │ our epoch is over
 │                             ▼
 └── no newer process ────── fenced ──► replaced: everything here stops
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog

from actors.consumer import BackgroundTask, Consumer
from actors.consumer_settings import ConsumerSettings
from actors.event_sources import EventSource, JournalSource, OutboxSource
from actors.tailer import JournalTailer
from cluster.tasks import TaskOwner
from cluster.tracing import past_span, tracing
from persistence.errors import StoreError
from persistence.stores import Stores

log = structlog.get_logger(__name__)

IsStanding = Callable[[], Awaitable[bool]]
"""Whether no newer process was started in this one's place. What it raises is logged, and it is asked again."""


class Backoff:
    """Pauses between attempts: each twice as long as the one before, between two bounds."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self.failures = 0

    def succeeded(self) -> None:
        """Begin anew with the shortest pause."""
        self.failures = 0

    async def failed(self) -> None:
        """Wait as long as is due now."""
        settings = self._settings
        doublings = min(self.failures, 32)
        self.failures += 1
        await asyncio.sleep(min(settings.retry_backoff_min_ms * 2**doublings, settings.retry_backoff_max_ms) / 1e3)


class Feed:
    """One consumer and one of its sources.

    Guarantees: the consumer gets every event at least once, and an entity's in order; a batch is behind us only after
    `handle` has returned. Whoever dies in between leaves that one batch to be repeated, and nothing else.
    """

    def __init__(self, consumer: Consumer, source: EventSource, settings: ConsumerSettings) -> None:
        self._consumer = consumer
        self._source = source
        self._settings = settings
        self._backoff = Backoff(settings)
        self._taken = False
        self._handled = 0

    @property
    def name(self) -> str:
        """Consumer and source, for the log."""
        return f"{self._consumer.name} of {self._source.name}"

    async def run(self) -> None:
        """Feed until another process has become this consumer. Run it again to take the place back."""
        self._taken = False
        while True:
            try:
                if not await self._batch():
                    log.warning("consumer.fenced", consumer=self._consumer.name, source=self._source.name)
                    return
            except StoreError as error:
                self._tell("consumer.store_failed", error=repr(error))
                await self._backoff.failed()
            except Exception as error:  # noqa: BLE001 - the top of a feed: what a consumer raises is its own affair
                self._tell("consumer.failed", error=repr(error), exc_info=self._backoff.failures == 0)
                await self._backoff.failed()
            else:
                self._backoff.succeeded()

    async def _batch(self) -> bool:
        if not self._taken:
            await self._source.take()
            self._taken = True
            log.info("consumer.taken", consumer=self._consumer.name, source=self._source.name)
        events = await self._source.next()
        began_s = asyncio.get_running_loop().time()
        async with asyncio.timeout(self._settings.handle_timeout_ms / 1e3):
            await self._consumer.handle(events)
        for event in events if tracing() else ():
            took_s = asyncio.get_running_loop().time() - began_s
            past_span(f"{self._consumer.name} {event.type}", event.traceparent, took_s, kind="consumer")
        if not await self._source.done():
            return False
        self._handled += len(events)
        return True

    def _tell(self, event: str, **values: Any) -> None:
        failures = self._backoff.failures + 1
        log.warning(event, consumer=self._consumer.name, source=self._source.name, failures=failures, **values)

    def describe(self) -> dict[str, Any]:
        """Its state as plain data."""
        return {
            "consumer": self._consumer.name,
            "source": self._source.name,
            "handled": self._handled,
            "behind": self._source.behind(),
            "failures": self._backoff.failures,
        }


class Feeds:
    """All consumers and background tasks of one process.

    Guarantees: a slow or failing one stops no other; when a newer process has taken this one's place, everything stops
    within `standing_check_interval_ms`, and until then the stores refuse what this one would put behind it.
    """

    def __init__(
        self,
        stores: Stores,
        consumers: Sequence[Consumer],
        background: Sequence[BackgroundTask],
        settings: ConsumerSettings,
        is_standing: IsStanding,
        subscribed: Sequence[tuple[Consumer, EventSource]] = (),
    ) -> None:
        """`subscribed`: consumers with a source of their own, instead of the stores' that they name.

        Raises `ValueError` if two consumers share a name, or want the same outbox.
        """
        _refuse_rivals(consumers)
        self._settings = settings
        self._is_standing = is_standing
        self._background = background
        self._tailers = {
            service: JournalTailer(stores.journals[service], settings)
            for service in dict.fromkeys(service for consumer in consumers for service in consumer.journals)
        }
        self._feeds = [
            Feed(consumer, source, settings) for consumer in consumers for source in self._sources_of(consumer, stores)
        ]
        self._feeds += [Feed(consumer, source, settings) for consumer, source in subscribed]
        self._tasks = TaskOwner()
        self._replaced = asyncio.Event()

    async def run(self) -> None:
        """Run everything until a newer process has taken over. Cancel it to stop: what was in hand comes again."""
        spawn = self._tasks.spawn
        try:
            for service, tailer in self._tailers.items():
                spawn(self._keep(f"tailer of {service}", tailer.run), f"tailer {service}")
            for feed in self._feeds:
                spawn(self._keep(feed.name, partial(self._feed, feed)), feed.name)
            for task in self._background:
                spawn(self._keep(task.name, task.run), task.name)
            spawn(self._keep("watch of standing", self._watch_standing), "standing")
            await self._replaced.wait()
            log.warning("consumers.replaced")
        finally:
            await self._tasks.close()

    def describe(self) -> list[dict[str, Any]]:
        """Each feed's state as plain data."""
        return [feed.describe() for feed in self._feeds]

    def _sources_of(self, consumer: Consumer, stores: Stores) -> list[EventSource]:
        return [
            *(
                JournalSource(consumer.name, self._tailers[service], stores.cursors[service])
                for service in consumer.journals
            ),
            *(OutboxSource(service, stores.outboxes[service], self._settings) for service in consumer.outboxes),
        ]

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it again whenever it ends, after a pause that grows while it ends at once."""
        backoff, loop = Backoff(self._settings), asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                await run()
            except StoreError as error:
                log.warning("consumers.store_failed", part=name, error=repr(error))
            except Exception:  # the top of a task beside the consumers
                log.exception("consumers.part_failed", part=name)
            if loop.time() - began_s > self._settings.retry_backoff_max_ms / 1e3:
                backoff.succeeded()
            await backoff.failed()

    async def _feed(self, feed: Feed) -> None:
        await feed.run()
        if not await self._is_standing():
            self._replaced.set()
        # Else who took our place is the older one, and finds that out as we did: it is taken back after a pause.

    async def _watch_standing(self) -> None:
        """A zombie that has nothing to do would never be fenced."""
        while await self._is_standing():  # noqa: ASYNC110 - it is asked of the cluster, which tells nobody
            await asyncio.sleep(self._settings.standing_check_interval_ms / 1e3)
        self._replaced.set()


def _refuse_rivals(consumers: Sequence[Consumer]) -> None:
    claims: dict[str, list[str]] = {
        "name": [consumer.name for consumer in consumers],
        "outbox": [service for consumer in consumers for service in consumer.outboxes],
    }
    for what, names in claims.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two consumers have the same {what}: {', '.join(twice)}")
