"""Follows one service's journal for every consumer of a process.

    heads ──poll──► which shards moved ──► a page of those that a consumer has not read ──► its feed

The heads are read once for all consumers, and of a shard whose head is where a consumer stands nothing is read. Between
two polls nobody is told anything: a host that sent a hint with each commit would make a call to another process out
of every append (or, by LISTEN/NOTIFY, take a lock of the whole database in it), and a consumer that hangs would
gather hints in Ray's queue, which has no bound. Asking is cheaper than telling: see docs/adr/0010-consumers-poll.md.
"""

import asyncio
from collections.abc import Mapping, Sequence

from actors.consumer_settings import ConsumerSettings
from persistence.ports import Journal
from persistence.records import JournalEvent

_PAGES_KEPT = 4
_Key = tuple[tuple[int, int], ...]


class JournalTailer:
    """Shared by the consumers of one journal, in one process. `run` keeps it going; until then pages only wait.

    Guarantees: a page continues each of its shards without a gap; no shard waits for ever behind busier ones; what
    two consumers ask for in the same place is mostly read once.
    """

    def __init__(self, journal: Journal, settings: ConsumerSettings) -> None:
        self._journal = journal
        self._settings = settings
        self._heads: dict[int, int] = {}
        self._moved = asyncio.Event()
        self._reading = asyncio.Lock()
        self._pages: dict[_Key, Sequence[JournalEvent]] = {}

    async def run(self) -> None:
        """Look at the heads for ever, sooner while they move. Raises what the store raises; it can be run again."""
        settings = self._settings
        pause_ms = settings.poll_interval_ms
        while True:
            heads = {head.shard: head.seq for head in await self._journal.heads()}
            moved = heads != self._heads
            self._heads = heads
            if moved:
                self._moved.set()
                self._moved = asyncio.Event()
            pause_ms = settings.busy_poll_interval_ms if moved else min(2 * pause_ms, settings.poll_interval_ms)
            await asyncio.sleep(pause_ms / 1e3)

    async def page(self, positions: Mapping[int, int], after_shard: int) -> Sequence[JournalEvent]:
        """The next events of whoever has read so far; waits until there are any, and is never empty.

        At most `page_events_max`, of at most `page_shards_max` shards: the first behind `after_shard`, in a circle.
        """
        while True:
            moved = self._moved
            behind = [shard for shard, seq in sorted(self._heads.items()) if seq > positions.get(shard, 0)]
            if behind:
                behind.sort(key=lambda shard: (shard <= after_shard, shard))
                chosen = {shard: positions.get(shard, 0) for shard in behind[: self._settings.page_shards_max]}
                if events := await self._read(chosen):
                    return events
            await moved.wait()

    def behind(self, positions: Mapping[int, int]) -> int:
        """How many events somebody who has read so far had not read at the last look."""
        return sum(max(0, seq - positions.get(shard, 0)) for shard, seq in self._heads.items())

    async def _read(self, chosen: Mapping[int, int]) -> Sequence[JournalEvent]:
        key = tuple(chosen.items())
        async with self._reading:
            if key in self._pages:
                return self._pages[key]
            events = await self._journal.read_behind(chosen, max(1, self._settings.page_events_max // len(chosen)))
            if events:  # of what is there already nothing ever changes
                self._pages[key] = events
                while len(self._pages) > _PAGES_KEPT:
                    del self._pages[next(iter(self._pages))]
            return events
