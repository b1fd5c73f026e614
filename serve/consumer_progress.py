"""Whether a consumer of a journal gets on: a sign that costs two small reads, and needs nobody's answer."""

from collections.abc import Callable

from persistence.ports import Cursors, Journal

STUCK_AFTER_MS = 60_000


class ConsumerProgress:
    """Looks at how far one consumer has read one journal. Being behind is no fault; not moving while behind is."""

    def __init__(self, consumer: str, journal: Journal, cursors: Cursors, now_ms: Callable[[], int]) -> None:
        self._consumer = consumer
        self._journal = journal
        self._cursors = cursors
        self._now_ms = now_ms
        self._read = -1
        self._moved_at_ms = 0

    async def waiting(self) -> int:
        """How many events have waited for a minute in which none was read; 0 if it gets on. Raises `StoreError`.

        Counts from the first call, so a process that has just started says 0 for a minute.
        """
        # The cursors first: a head that is read later is never behind them.
        positions = await self._cursors.positions(self._consumer)
        heads = await self._journal.heads()
        now_ms = self._now_ms()
        behind = sum(max(0, head.seq - positions.get(head.shard, 0)) for head in heads)
        read = sum(positions.values())
        if behind == 0 or read != self._read:
            self._read = read
            self._moved_at_ms = now_ms
        return behind if now_ms - self._moved_at_ms > STUCK_AFTER_MS else 0
