"""An outbox in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from persistence.memory.seams import Seams
from persistence.memory.tables import OutboxTable
from persistence.records import OutboxRow

TAKE_LEASE_MS = 30_000


@dataclass(slots=True)
class MemoryOutbox:
    """Rows are taken for 30 s; one that is not done by then is handed out again."""

    table: OutboxTable
    clock_ms: Callable[[], int]
    seams: Seams = field(default_factory=Seams)

    async def take(self, limit: int) -> list[OutboxRow]:
        """The oldest rows nobody else has taken."""
        return await self.seams.call(f"{self.table.topic}.take", lambda: self._take(limit))

    async def done(self, ids: Sequence[int]) -> None:
        """Remove published rows."""

        def remove() -> None:
            for row_id in ids:
                self.table.rows.pop(row_id, None)
                self.table.taken_until_ms.pop(row_id, None)

        await self.seams.call(f"{self.table.topic}.done", remove)

    def _take(self, limit: int) -> list[OutboxRow]:
        now = self.clock_ms()
        free = [row for row_id, row in self.table.rows.items() if self.table.taken_until_ms.get(row_id, 0) <= now]
        taken = free[:limit]
        for row in taken:
            self.table.taken_until_ms[row.id] = now + TAKE_LEASE_MS
        return taken
