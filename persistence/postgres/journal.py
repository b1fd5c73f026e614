"""The journal in PostgreSQL: one statement an append, fenced in the statement that writes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from persistence.batches import check_batches, last_timers, newest_views
from persistence.postgres.columns import (
    ANSWER_COLUMNS,
    EVENT_COLUMNS,
    ORDER_COLUMNS,
    PAYMENT_COLUMNS,
    RETURN_COLUMNS,
    STOCK_COLUMNS,
    TIMER_COLUMNS,
    Columns,
    columns,
    event_of,
)
from persistence.postgres.database import Database
from persistence.postgres.queries import fill_all, load_queries
from persistence.records import (
    Head,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    Row,
    ShardBatch,
    TimerRow,
)

_VIEW_COLUMNS: dict[JournalService, tuple[str, ...]] = {
    "orders": ORDER_COLUMNS,
    "inventory": STOCK_COLUMNS,
    "payments": PAYMENT_COLUMNS,
}
_Rows = Callable[[ShardBatch], "Sequence[Row]"]


class PostgresJournal:
    """One service's journal, in the schema of the service's name."""

    def __init__(self, service: JournalService, database: Database) -> None:
        self._service: JournalService = service
        self._database = database
        service_rows = load_queries(service)["service_rows"]
        self._sql = fill_all(load_queries("journal"), schema=service, service_rows=service_rows)

    @property
    def service(self) -> JournalService:
        """Which service's journal this is."""
        return self._service

    async def heads(self) -> list[Head]:
        """The heads of all shards that were ever fenced."""
        return [Head(**record) for record in await self._database.read(self._sql["heads"])]

    async def fence(self, shard: int, epoch: int) -> Head | None:
        """Raise the shard's epoch; None if it is already there or higher."""
        records = await self._database.write_apart(self._sql["fence"], shard, epoch)
        return Head(**records[0]) if records else None

    async def append(self, batches: Sequence[ShardBatch]) -> frozenset[tuple[int, int]]:
        """Write every batch whose epoch and expected seq are the head's."""
        check_batches(self._service, batches)
        if not batches:
            return frozenset()
        records = await self._database.write(self._sql["append"], *append_arguments(self._service, batches))
        return frozenset((record["shard"], record["epoch"]) for record in records)

    async def read(self, shard: int, after_seq: int, limit: int) -> list[JournalEvent]:
        """Events of one shard with seq > after_seq, in seq order."""
        return [event_of(record) for record in await self._database.read(self._sql["read"], shard, after_seq, limit)]

    async def read_behind(self, positions: Mapping[int, int], limit: int) -> list[JournalEvent]:
        """What follows these seqs in these shards, at most `limit` events of each."""
        statement = self._sql["read_behind"]
        records = await self._database.read(statement, list(positions), list(positions.values()), limit)
        return [event_of(record) for record in records]

    async def read_at(self, shard: int, seqs: Sequence[int]) -> list[JournalEvent]:
        """The events at these seqs, in seq order."""
        return [event_of(record) for record in await self._database.read(self._sql["read_at"], shard, list(seqs))]

    async def timers(self, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""
        return [TimerRow(**record) for record in await self._database.read(self._sql["timers"], shard)]

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""
        records = await self._database.read(self._sql["answer"], principal, route, key)
        return IdempotencyRow(**records[0]) if records else None

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""


def append_arguments(service: JournalService, batches: Sequence[ShardBatch]) -> Columns:
    """The parameters of the append, as columns, in the order of `journal.sql` and then `<service>.sql`."""
    # Every writer locks the heads it moves in the same order.
    ordered = sorted(batches, key=lambda batch: batch.shard)
    arguments: Columns = [
        [batch.shard for batch in ordered],
        [batch.epoch for batch in ordered],
        [batch.expected_seq for batch in ordered],
        [len(batch.events) for batch in ordered],
        [batch.low_water for batch in ordered],
        [batch.shard for batch in ordered for _ in batch.events],
        [seq for batch in ordered for seq in range(batch.expected_seq + 1, batch.expected_seq + 1 + len(batch.events))],
        *columns(EVENT_COLUMNS, [event for batch in ordered for event in batch.events]),
    ]
    arguments += _of_shards(TIMER_COLUMNS, ordered, lambda batch: list(last_timers(batch.timers)))
    arguments += _of_shards(ANSWER_COLUMNS, ordered, lambda batch: batch.idempotency)
    arguments += _of_shards(_VIEW_COLUMNS[service], ordered, lambda batch: list(newest_views(batch.views)))
    if service == "inventory":
        arguments += _of_shards(RETURN_COLUMNS, ordered, lambda batch: batch.returns)
    return arguments


def _of_shards(names: Sequence[str], batches: Sequence[ShardBatch], rows_of: _Rows) -> Columns:
    rows = [(batch.shard, row) for batch in batches for row in rows_of(batch)]
    shards: list[Any] = [shard for shard, _ in rows]
    return [shards, *columns(names, [row for _, row in rows])]
