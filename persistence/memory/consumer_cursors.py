"""The cursors of a journal's consumers, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from persistence.memory.seams import Seams
from persistence.memory.tables import JournalTables
from persistence.records import JournalService


@dataclass(slots=True)
class MemoryCursors:
    """One service's cursors. `fencing=False` is a planted bug: they move whatever the epoch, and back, too."""

    service: JournalService
    tables: JournalTables
    seams: Seams = field(default_factory=Seams)
    fencing: bool = True

    async def take(self, consumer: str) -> tuple[int, Mapping[int, int]]:
        """Become this consumer."""
        return await self.seams.call(f"{self.service}.cursors.take", lambda: self._take(consumer))

    async def advance(self, consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
        """Move shards' cursors forward, if the epoch is ours."""
        return await self.seams.call(f"{self.service}.cursors.advance", lambda: self._advance(consumer, epoch, seqs))

    async def positions(self, consumer: str) -> Mapping[int, int]:
        """The seq that each shard was read up to."""
        return await self.seams.call(f"{self.service}.cursors.positions", lambda: self._positions(consumer))

    def _take(self, consumer: str) -> tuple[int, Mapping[int, int]]:
        epoch = self.tables.consumers.get(consumer, 0) + 1
        self.tables.consumers[consumer] = epoch
        return epoch, self._positions(consumer)

    def _positions(self, consumer: str) -> dict[int, int]:
        return dict(self.tables.cursors.get(consumer, {}))

    def _advance(self, consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
        if not self.fencing:
            self.tables.cursors.setdefault(consumer, {}).update(seqs)
            return True
        if self.tables.consumers.get(consumer) != epoch:
            return False
        cursors = self.tables.cursors.setdefault(consumer, {})
        cursors.update({shard: max(seq, cursors.get(shard, 0)) for shard, seq in seqs.items()})
        return True
