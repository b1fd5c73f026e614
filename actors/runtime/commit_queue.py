"""Group commit: while one statement is in flight everything queues; the next takes it all.

    enqueue ──► queue ──take (≤ 2,000 events, ≤ 4 MiB)──► statement in flight ──► durable, or lost
                  ▲                                              │
                  └──────── whatever comes meanwhile ◄───────────┘

Writes are not numbered while they queue, so that any of them can be dropped without a gap.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from actors.runtime.host_services import HostServices
from actors.runtime.writes import Write
from cluster.tracing import past_span, tracing
from persistence.errors import StoreUnavailable

if TYPE_CHECKING:
    from actors.runtime.entity import Entity
    from actors.runtime.shard import Shard

log = structlog.get_logger(__name__)
Result = TypeVar("Result")


class CommitQueue(ABC):
    """One queue and one statement at a time. Writes of an entity are committed in the order they were enqueued."""

    def __init__(self, name: str, host: HostServices) -> None:
        self.name = name
        self._host = host
        self._queue: deque[Write] = deque()
        self._wakeup: asyncio.Future[None] | None = None
        self.statements = 0
        self.events = 0
        self.events_in_last = 0

    def __len__(self) -> int:
        return len(self._queue)

    def start(self) -> None:
        """Begin to commit, in a task of its own."""
        self._host.tasks.spawn(self._run(), f"commit {self.name}")

    def enqueue(self, write: Write) -> None:
        """Take it along with the next statement."""
        self._queue.append(write)
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def forget_entity(self, entity: "Entity") -> None:
        """Drop what is queued for this entity: it will never be sent."""
        self._forget(lambda write: write.entity is entity)

    def forget_shard(self, shard: "Shard") -> None:
        """Drop what is queued for this shard: it will never be sent."""
        self._forget(lambda write: write.entity.shard is shard)

    def queued_entities(self, shard: "Shard") -> "list[Entity]":
        """The entities of this shard with writes in the queue, each once."""
        return list({write.entity: None for write in self._queue if write.entity.shard is shard})

    def _forget(self, dropped: Callable[[Write], bool]) -> None:
        kept: deque[Write] = deque()
        for write in self._queue:
            if dropped(write):
                write.entity.shard.settled_writes(1)
            else:
                kept.append(write)
        self._queue = kept

    def _take(self) -> list[Write]:
        """Writes for one statement: all there are, up to the bounds, at least one."""
        settings, queue = self._host.settings, self._queue
        taken: list[Write] = []
        events = size = 0
        while queue:
            write = queue[0]
            events += len(write.events)
            size += write.size_bytes
            if taken and (events > settings.append_events_max or size > settings.append_bytes_max):
                break
            taken.append(queue.popleft())
        self.statements += 1
        self.events_in_last = sum(len(write.events) for write in taken)
        self.events += self.events_in_last
        return taken

    async def _run(self) -> None:
        while True:
            if not self._queue:
                self._wakeup = asyncio.get_running_loop().create_future()
                await self._wakeup
                self._wakeup = None
                continue
            writes = self._take()
            began_s = asyncio.get_running_loop().time()
            try:
                await self._commit(writes)
            except Exception:  # the top of the writer: after a bug nobody knows what was written
                log.exception("commit.broken", queue=self.name)
                for shard in dict.fromkeys(write.entity.shard for write in writes):
                    self._host.lose(shard)
            self._observe(writes, began_s)
            for write in writes:
                write.entity.shard.settled_writes(1)

    def _observe(self, writes: list[Write], began_s: float) -> None:
        metrics, took_s = self._host.metrics, asyncio.get_running_loop().time() - began_s
        metrics.commit_events.labels(self.name).observe(self.events_in_last)
        metrics.commit_seconds.labels(self.name).observe(took_s)
        for write in writes:
            if write.events and write.entity.committed_version >= write.version:
                metrics.durable(write.events)
                if tracing():
                    attributes = {"stampede.events": len(write.events), "stampede.commit_events": self.events_in_last}
                    past_span(f"commit {self.name}", write.events[0].traceparent, took_s, attributes=attributes)

    @abstractmethod
    async def _commit(self, writes: list[Write]) -> None:
        """Make them durable, or settle what becomes of those that are not."""

    async def _patiently(self, statement: Callable[[], Awaitable[Result]]) -> Result:
        """Run a statement, again and again for a while if the store is surely not reached (nothing was written)."""
        settings, loop = self._host.settings, asyncio.get_running_loop()
        give_up_s = loop.time() + settings.append_retry_budget_ms / 1e3
        pause_ms = settings.append_backoff_min_ms
        while True:
            try:
                return await statement()
            except StoreUnavailable:
                if loop.time() + pause_ms / 1e3 > give_up_s:
                    raise
            await asyncio.sleep(pause_ms / 1e3)
            pause_ms = min(2 * pause_ms, settings.append_backoff_max_ms)
