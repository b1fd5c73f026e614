"""A journal and outboxes in memory, with consumers that tests can hold up, break and watch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps

from actors.consumer import BackgroundTask
from actors.consumer_settings import ConsumerSettings
from actors.feeds import Feeds, IsStanding
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import JournalService, NewEvent, OutboxService
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import batch, cart_write, event
from tests.simulation.virtual_loop import run_virtual

SETTINGS = ConsumerSettings(page_events_max=10, page_shards_max=4)


@dataclass(eq=False)
class Recorder:
    """Remembers what it took in. `before` runs first in every `handle`, and may wait or raise."""

    name: str = "recorder"
    journals: Sequence[JournalService] = ("orders",)
    outboxes: Sequence[OutboxService] = ()
    before: Callable[[Sequence[NewEvent]], "asyncio.Future[None] | None"] | None = None
    batches: list[list[NewEvent]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, events: Sequence[NewEvent]) -> None:
        waiting = self.before(events) if self.before is not None else None
        if waiting is not None:
            await waiting
        self.batches.append(list(events))
        self.changed.set()

    @property
    def events(self) -> list[NewEvent]:
        return [event for events in self.batches for event in events]

    def versions(self, entity_id: str) -> list[int]:
        return [event.version for event in self.events if event.entity_id == entity_id]

    async def has(self, count: int) -> None:
        """Until it has taken in so many events."""
        while len(self.events) < count:
            self.changed.clear()
            await self.changed.wait()


class World:
    """Stores in memory; `feeding` runs a process of consumers over them."""

    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.stores = self.open()
        self._seqs: dict[int, int] = {}

    def open(self, seams: Seams | None = None) -> Stores:
        """The same tables through hooks of one's own."""
        return open_memory_stores(lambda: 0, tables=self.tables, seams=seams)

    async def append(self, shard: int, events: int = 1) -> None:
        """So many more events of the one order `ord_<shard>`; its versions are the shard's seqs."""
        journal = self.stores.journals["orders"]
        if shard not in self._seqs:
            await journal.fence(shard, 1)
        seq = self._seqs.get(shard, 0)
        await journal.append([batch(shard, seq=seq, events=events)])
        self._seqs[shard] = seq + events

    async def put_out(self, cart_id: str, versions: Sequence[int] = (1,)) -> None:
        """Events of a cart in its outbox."""
        await self.stores.carts.save(
            [cart_write(cart_id, versions[0] - 1, events=[event(cart_id, n) for n in versions])]
        )

    @asynccontextmanager
    async def feeding(
        self,
        *consumers: Recorder,
        background: Sequence[BackgroundTask] = (),
        stores: Stores | None = None,
        is_standing: IsStanding | None = None,
        **settings: int,
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """A process, killed (without a word) at the end."""
        feeds = Feeds(
            stores or self.stores,
            consumers,
            background,
            SETTINGS.model_copy(update=settings),
            is_standing or _standing,
        )
        running = asyncio.create_task(feeds.run())
        try:
            yield running
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _standing() -> bool:
    return True


def virtually(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """On virtual time: pauses cost nothing, and a consumer that waits for ever is a deadlock, not a hang."""

    @wraps(test)
    def run() -> None:
        run_virtual(_awaited(test), time_max_s=600)

    del run.__wrapped__  # type: ignore[attr-defined]  # or pytest takes it for a coroutine
    return run


async def _awaited(test: Callable[[], Awaitable[None]]) -> None:
    await test()
