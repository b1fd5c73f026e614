"""What the audit reads, from tables in memory."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from persistence.memory.tables import MemoryTables
from persistence.records import (
    Head,
    HostRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    PriceRecord,
    ReturnRow,
    ShardRow,
    SnapshotRow,
    TimerRow,
    ViewRow,
)

PAGE_ROWS = 1_000
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class MemoryAuditReads:
    """Tables are copied when their reading begins: others may write between two pages."""

    tables: MemoryTables
    clock_ms: Callable[[], int]

    async def now_ms(self) -> int:
        """The clock of the caller's."""
        return self.clock_ms()

    async def hosts(self) -> list[HostRow]:
        """All hosts."""
        return list(self.tables.cluster.hosts.values())

    async def shards(self) -> list[ShardRow]:
        """All shards."""
        return [row for _, row in sorted(self.tables.cluster.shards.items())]

    async def heads(self, service: JournalService) -> list[Head]:
        """The heads of all shards that were ever fenced."""
        return [head for _, head in sorted(self.tables.journals[service].heads.items())]

    async def events(
        self, service: JournalService, shard: int, up_to_seq: int
    ) -> AsyncIterator[Sequence[JournalEvent]]:
        """One shard's events, by their own seqs: a gap is shown, not hidden by the place in the list."""
        journal = self.tables.journals[service].journal.get(shard, [])
        for page in _pages(event for event in journal if event.seq <= up_to_seq):
            yield page

    async def views(self, service: JournalService) -> AsyncIterator[Sequence[ViewRow]]:
        """Every state row or read model of a service."""
        for page in _pages(self.tables.journals[service].views.values()):
            yield page

    async def snapshots(self) -> AsyncIterator[Sequence[SnapshotRow]]:
        """The newest snapshot of every SKU."""
        for page in _pages(self.tables.journals["inventory"].snapshots.values()):
            yield page

    async def timers(self, service: JournalService, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""
        return [timer for key, timer in sorted(self.tables.journals[service].timers.items()) if key[0] == shard]

    async def returns(self) -> AsyncIterator[Sequence[ReturnRow]]:
        """Every return."""
        rows = self.tables.journals["inventory"].returns
        for page in _pages(ReturnRow(order_id=order_id, sku=sku) for order_id, sku in sorted(rows)):
            yield page

    async def ledger(self) -> AsyncIterator[Sequence[LedgerRow]]:
        """Every movement."""
        for page in _pages(self.tables.ledger.values()):
            yield page

    async def prices(self) -> AsyncIterator[Sequence[PriceRecord]]:
        """Every price version, without its product's name."""
        versions = (version for held in self.tables.catalog.prices.values() for version in held)
        for page in _pages(msgspec.structs.replace(version, name="") for version in versions):
            yield page

    async def close(self) -> None:
        """Nothing to let go of."""


def _pages(rows: Iterable[Item]) -> Iterable[Sequence[Item]]:
    held = list(rows)
    return (held[start : start + PAGE_ROWS] for start in range(0, len(held), PAGE_ROWS))
