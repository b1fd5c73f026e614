"""An outbox in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from persistence.memory.seams import Seams
from persistence.memory.tables import OutboxTable
from persistence.records import OutboxRow


@dataclass(slots=True)
class MemoryOutbox:
    """Rows stay until the consumer whose epoch is the newest is done with them.

    `fencing=False` is a planted bug: rows are removed whatever the epoch.
    """

    table: OutboxTable
    seams: Seams = field(default_factory=Seams)
    fencing: bool = True

    async def take(self) -> int:
        """Become its consumer."""

        def take() -> int:
            self.table.epoch += 1
            return self.table.epoch

        return await self.seams.call(f"{self.table.topic}.take", take)

    async def read(self, limit: int) -> list[OutboxRow]:
        """The oldest rows."""
        return await self.seams.call(f"{self.table.topic}.read", lambda: list(self.table.rows.values())[:limit])

    async def done(self, epoch: int, ids: Sequence[int]) -> bool:
        """Remove rows, if the epoch is ours."""
        return await self.seams.call(f"{self.table.topic}.done", lambda: self._done(epoch, ids))

    def _done(self, epoch: int, ids: Sequence[int]) -> bool:
        if self.fencing and not 0 < epoch == self.table.epoch:
            return False
        for row_id in ids:
            self.table.rows.pop(row_id, None)
        return True
