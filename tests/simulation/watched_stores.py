"""Memory stores of consumers that tell of what they should have refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from persistence.memory.consumer_cursors import MemoryCursors
from persistence.memory.outbox import MemoryOutbox


@dataclass(frozen=True, slots=True)
class WatchedCursors:
    """Tells what an advance that was not refused did."""

    inner: MemoryCursors
    breaches: list[str]

    @property
    def service(self) -> Any:
        return self.inner.service

    async def take(self, consumer: str) -> tuple[int, Mapping[int, int]]:
        return await self.inner.take(consumer)

    async def positions(self, consumer: str) -> Mapping[int, int]:
        return await self.inner.positions(consumer)

    async def advance(self, consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
        # The statement itself takes no time: what is seen beside it is what it saw.
        statement = self.inner._advance

        def watched(consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
            before = self.inner._positions(consumer)
            moved = statement(consumer, epoch, seqs)
            if moved and epoch != self.inner.tables.consumers[consumer]:
                self.breaches.append(f"{consumer} moved cursors at epoch {epoch}, which was over")
            after = self.inner._positions(consumer)
            if any(after.get(shard, 0) < seq for shard, seq in before.items()):
                self.breaches.append(f"{consumer} moved a cursor back: {before} -> {after}")
            return moved

        return await self.inner.seams.call("orders.cursors.advance", lambda: watched(consumer, epoch, seqs))


@dataclass(frozen=True, slots=True)
class WatchedOutbox:
    """Tells who removed rows at an epoch that was over."""

    inner: MemoryOutbox
    breaches: list[str]

    async def take(self) -> int:
        return await self.inner.take()

    async def read(self, limit: int) -> list[Any]:
        return await self.inner.read(limit)

    async def done(self, epoch: int, ids: Sequence[int]) -> bool:
        def watched() -> bool:
            removed = self.inner._done(epoch, ids)
            if removed and epoch != self.inner.table.epoch:
                self.breaches.append(f"rows were removed at epoch {epoch}, which was over")
            return removed

        return await self.inner.seams.call("cart-events.done", watched)
