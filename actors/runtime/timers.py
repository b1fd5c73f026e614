"""The due times of one shard's entities: rows that survive, and a heap that rings.

    event commits ──due earlier──► armed (heap) ──due_at ≤ earliest──► woken: activate, `wake`, saga
         └──earlier than the row──► row, in the same append                      │
    row changed or deleted ◄── `next_due` ── the saga of that wake is over ◄──────┘

The row stays as it is until the wake's saga is over: a crash in between wakes the entity once more, which is
harmless; a row deleted first would be a timer lost.
"""

import heapq

from actors.runtime.low_water import EntityKey
from persistence.records import TimerRow


class ShardTimers:
    """One heap entry an entity that counts (`_armed`); older ones are skipped when they come up."""

    __slots__ = ("_armed", "_heap", "_rows", "woken_ms")

    def __init__(self) -> None:
        self._rows: dict[EntityKey, int] = {}
        """What the timer rows say, or will once what is queued is written."""
        self._armed: dict[EntityKey, int] = {}
        self._heap: list[tuple[int, EntityKey]] = []
        self.woken_ms: dict[EntityKey, int] = {}
        """When an entity with a due time was last woken, for as long as it has one; outlives passivation."""

    def __len__(self) -> int:
        return len(self._armed)

    def recovered(self, rows: list[TimerRow]) -> None:
        """The rows as they were when the shard was fenced. What was written since is newer."""
        for row in rows:
            key = (row.entity_type, row.entity_id)
            if row.due_at_ms is not None and key not in self._rows:
                self._rows[key] = row.due_at_ms
                self.arm(key, row.due_at_ms)

    def row_for(self, key: EntityKey, due_ms: int) -> TimerRow | None:
        """The row to write with an event, if its due time comes before the row's."""
        row_ms = self._rows.get(key)
        if row_ms is not None and row_ms <= due_ms:
            return None
        self._rows[key] = due_ms
        return TimerRow(entity_type=key[0], entity_id=key[1], due_at_ms=due_ms)

    def row_after_wake(self, key: EntityKey, due_ms: int | None) -> TimerRow | None:
        """The row to write once a wake is over, if it says something else."""
        row_ms = self._rows.get(key)
        if row_ms == due_ms:
            return None
        if due_ms is None:
            del self._rows[key]
        else:
            self._rows[key] = due_ms
        return TimerRow(entity_type=key[0], entity_id=key[1], due_at_ms=due_ms)

    def forget_row(self, key: EntityKey) -> None:
        """A row that was to be written was not: the next due time writes one."""
        self._rows.pop(key, None)

    def arm(self, key: EntityKey, due_ms: int) -> None:
        """Ring at `due_ms`, unless it rings earlier anyway."""
        armed_ms = self._armed.get(key)
        if armed_ms is None or due_ms < armed_ms:
            self._armed[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))

    def ring(self, now_ms: int, count_max: int) -> list[EntityKey]:
        """Take out the entities whose due time has come, in its order, at most `count_max`."""
        heap = self._heap
        found: list[EntityKey] = []
        while heap and heap[0][0] <= now_ms and len(found) < count_max:
            due_ms, key = heapq.heappop(heap)
            if self._armed.get(key) == due_ms:
                del self._armed[key]
                found.append(key)
        return found
