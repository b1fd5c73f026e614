"""Where a consumer's events come from: a journal, read up to its cursors, or an outbox, which it empties."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from actors.consumer_settings import ConsumerSettings
from actors.tailer import JournalTailer
from persistence.ports import Cursors, Outbox
from persistence.records import NewEvent, OutboxService


class EventSource(Protocol):
    """Gives one consumer its events, a batch at a time, in order per entity.

    Every method raises what the store raises, and may be called again then. `next` gives the same events again until
    `done` has returned True.
    """

    @property
    def name(self) -> str:
        """Which journal or outbox, for the log."""

    async def take(self) -> None:
        """Become this consumer: whoever was it before is refused from now on."""

    async def next(self) -> Sequence[NewEvent]:
        """The next batch; waits until there is one."""

    async def done(self) -> bool:
        """Put the last batch behind us. False if another process has become this consumer."""

    def behind(self) -> int:
        """How many events are known to wait."""


class JournalSource:
    """The journal of one service, from where this consumer's cursors stand."""

    def __init__(self, consumer: str, tailer: JournalTailer, cursors: Cursors) -> None:
        self.name = f"{cursors.service} journal"
        self._consumer = consumer
        self._tailer = tailer
        self._cursors = cursors
        self._epoch = 0
        self._positions: dict[int, int] = {}
        self._reached: dict[int, int] = {}
        self._last_shard = -1

    async def take(self) -> None:
        """See `EventSource.take`."""
        self._epoch, positions = await self._cursors.take(self._consumer)
        self._positions = dict(positions)

    async def next(self) -> Sequence[NewEvent]:
        """See `EventSource.next`."""
        events = await self._tailer.page(self._positions, self._last_shard)
        self._reached = {event.shard: event.seq for event in events}  # the last of each shard
        return events

    async def done(self) -> bool:
        """See `EventSource.done`."""
        if not await self._cursors.advance(self._consumer, self._epoch, self._reached):
            return False
        self._positions |= self._reached
        self._last_shard = max(self._reached) if self._reached else -1
        return True

    def behind(self) -> int:
        """See `EventSource.behind`."""
        return self._tailer.behind(self._positions)


class OutboxSource:
    """The outbox of one service. Whatever this consumer has taken in is removed."""

    def __init__(self, service: OutboxService, outbox: Outbox, settings: ConsumerSettings) -> None:
        self.name = f"{service} outbox"
        self._outbox = outbox
        self._settings = settings
        self._epoch = 0
        self._ids: list[int] = []

    async def take(self) -> None:
        """See `EventSource.take`."""
        self._epoch = await self._outbox.take()

    async def next(self) -> Sequence[NewEvent]:
        """See `EventSource.next`."""
        pause_ms = self._settings.busy_poll_interval_ms
        while not (rows := await self._outbox.read(self._settings.page_events_max)):
            self._ids = []
            await asyncio.sleep(pause_ms / 1e3)
            pause_ms = min(2 * pause_ms, self._settings.poll_interval_ms)
        self._ids = [row.id for row in rows]
        return [row.event for row in rows]

    async def done(self) -> bool:
        """See `EventSource.done`."""
        if not await self._outbox.done(self._epoch, self._ids):
            return False
        self._ids = []
        return True

    def behind(self) -> int:
        """See `EventSource.behind`. What nobody has read yet is not counted."""
        return len(self._ids)
