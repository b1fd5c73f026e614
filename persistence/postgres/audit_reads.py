"""What the audit reads, from PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import asyncpg

from persistence.ports import PriceReads
from persistence.postgres.database import Database
from persistence.postgres.journal import PostgresJournal
from persistence.postgres.ownership import PostgresOwnership
from persistence.postgres.queries import load_queries
from persistence.records import (
    JOURNAL_SERVICES,
    Head,
    HostRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    OrderRow,
    PaymentRow,
    PriceRecord,
    ReturnRow,
    ShardRow,
    SnapshotRow,
    StockRow,
    TimerRow,
    ViewRow,
)
from persistence.settings import Schema

PAGE_ROWS = 1_000
_Key = tuple[Any, ...]
_VIEWS: dict[JournalService, Callable[[asyncpg.Record], ViewRow]] = {
    "orders": lambda record: OrderRow(**{**record, "seqs": tuple(record["seqs"])}),
    "inventory": lambda record: StockRow(**record),
    "payments": lambda record: PaymentRow(**{**record, "seqs": tuple(record["seqs"])}),
}
_VIEW_KEYS: dict[JournalService, str] = {"orders": "id", "inventory": "sku", "payments": "id"}


class PostgresAuditReads:
    """One `Database` a schema; owns them. The prices may be `prices_elsewhere`, which it owns too."""

    def __init__(self, databases: Mapping[Schema, Database], prices_elsewhere: PriceReads | None = None) -> None:
        self._databases = databases
        self._prices_elsewhere = prices_elsewhere
        self._ownership = PostgresOwnership(databases["cluster"])
        self._journals = {service: PostgresJournal(service, databases[service]) for service in JOURNAL_SERVICES}
        self._sql = load_queries("audit")

    async def now_ms(self) -> int:
        """The database's clock."""
        return await self._ownership.now_ms()

    async def hosts(self) -> list[HostRow]:
        """All hosts."""
        return await self._ownership.hosts()

    async def shards(self) -> list[ShardRow]:
        """All shards."""
        return await self._ownership.shards()

    async def heads(self, service: JournalService) -> list[Head]:
        """The heads of all shards that were ever fenced."""
        return await self._journals[service].heads()

    async def events(
        self, service: JournalService, shard: int, up_to_seq: int
    ) -> AsyncIterator[Sequence[JournalEvent]]:
        """One shard's events, in seq order."""
        after = 0
        while after < up_to_seq:
            page = await self._journals[service].read(shard, after, min(PAGE_ROWS, up_to_seq - after))
            within = [event for event in page if event.seq <= up_to_seq]
            if not within:
                return
            yield within
            after = within[-1].seq

    async def views(self, service: JournalService) -> AsyncIterator[Sequence[ViewRow]]:
        """Every state row or read model of a service."""
        async for page in self._pages(service, service, ("",), (_VIEW_KEYS[service],)):
            yield [_VIEWS[service](record) for record in page]

    async def snapshots(self) -> AsyncIterator[Sequence[SnapshotRow]]:
        """The newest snapshot of every SKU."""
        key = ("shard", "entity_type", "entity_id")
        async for page in self._pages("inventory", "snapshots", (-1, "", ""), key):
            yield [SnapshotRow(**record) for record in page]

    async def timers(self, service: JournalService, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""
        return await self._journals[service].timers(shard)

    async def returns(self) -> AsyncIterator[Sequence[ReturnRow]]:
        """Every return."""
        async for page in self._pages("inventory", "returns", ("", ""), ("order_id", "sku")):
            yield [ReturnRow(**record) for record in page]

    async def ledger(self) -> AsyncIterator[Sequence[LedgerRow]]:
        """Every movement."""
        async for page in self._pages("gateway", "ledger", ("",), ("key",)):
            yield [LedgerRow(**record) for record in page]

    async def prices(self) -> AsyncIterator[Sequence[PriceRecord]]:
        """Every price version, without its product's name."""
        if self._prices_elsewhere is not None:
            async for prices in self._prices_elsewhere.prices():
                yield prices
            return
        async for page in self._pages("catalog", "prices", ("", 0), ("sku", "version")):
            yield [PriceRecord(**record) for record in page]

    async def close(self) -> None:
        """Close every connection."""
        if self._prices_elsewhere is not None:
            await self._prices_elsewhere.close()
        for database in {id(database): database for database in self._databases.values()}.values():
            await database.close()

    async def _pages(
        self, schema: Schema, statement: str, start: _Key, key: Sequence[str]
    ) -> AsyncIterator[list[asyncpg.Record]]:
        """A statement's rows behind `start`, then behind the last row's key, until there are no more."""
        behind = start
        while page := await self._databases[schema].read(self._sql[statement], *behind, PAGE_ROWS):
            yield page
            behind = tuple(page[-1][name] for name in key)
