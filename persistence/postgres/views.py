"""Reads of the state rows on the primary, and a SKU's snapshots and returns."""

from collections.abc import Mapping, Sequence
from typing import Any

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.order_lists import FOUND_ORDERS, first_place
from persistence.postgres.columns import columns
from persistence.postgres.database import Database
from persistence.postgres.queries import fill, load_queries
from persistence.records import (
    FoundOrders,
    OrderFilter,
    OrderRow,
    Page,
    PaymentRow,
    PaymentTotals,
    SnapshotRow,
    StatusTotals,
    StockRow,
    StockTotals,
)

_FROM_THE_NEWEST = (2**63 - 1, "")
_SNAPSHOT_COLUMNS = ("entity_type", "entity_id", "seq", "version", "state")


class PostgresOrders:
    """Reads of `orders_view`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("orders")

    async def load(self, ids: Sequence[str]) -> Mapping[str, OrderRow]:
        """The rows that exist."""
        records = await self._database.read(self._sql["load"], list(ids))
        return {record["id"]: _order(record) for record in records}

    async def list(self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None) -> Page:
        """Newest first."""
        created_at_ms, order_id = _FROM_THE_NEWEST if cursor is None else decode_number_cursor("orders", cursor)
        # One row more than asked tells whether another page follows.
        if user_id is None:
            records = await self._database.read(self._sql["list_all"], status, created_at_ms, order_id, limit + 1)
        else:
            records = await self._database.read(
                self._sql["list_of_user"], user_id, status, created_at_ms, order_id, limit + 1
            )
        page = [_order(record) for record in records[:limit]]
        more = len(records) > limit
        return page, encode_cursor("orders", page[-1].created_at_ms, page[-1].id) if more else None, None

    async def find(self, wanted: OrderFilter, *, limit: int, cursor: str | None, scan_max: int) -> FoundOrders:
        """What the filter lets through, newest first."""
        behind = first_place(wanted, cursor)
        end = await self._scan_end(wanted, behind, scan_max)
        not_before = end or (wanted.from_ms or 0, "")
        records = await self._database.read(
            fill(self._sql["find"], owner="$5::text IS NULL" if wanted.user_id is None else "user_id = $5::text"),
            *behind,
            *not_before,
            wanted.user_id,
            wanted.status,
            wanted.min_total_minor,
            wanted.max_total_minor,
            wanted.email_key,
            limit + 1,
        )
        page = [_order(record) for record in records[:limit]]
        if len(records) > limit:
            end = (page[-1].created_at_ms, page[-1].id)
        return page, None if end is None else encode_cursor(FOUND_ORDERS, *end)

    async def totals(self, from_ms: int, to_ms: int) -> Sequence[StatusTotals]:
        """The orders made in [from, to), by status. Reads the index of all orders by time, and those orders."""
        return [StatusTotals(**record) for record in await self._database.read(self._sql["totals"], from_ms, to_ms)]

    async def _scan_end(self, wanted: OrderFilter, behind: tuple[int, str], scan_max: int) -> tuple[int, str] | None:
        """Where `scan_max` orders have been looked at; None if the list ends before."""
        if wanted.user_id is not None:
            # An account's orders have an index of their own, and are few.
            return None
        records = await self._database.read(self._sql["scan_end"], *behind, wanted.from_ms or 0, scan_max)
        return (records[0]["created_at_ms"], records[0]["id"]) if records else None


class PostgresPayments:
    """Reads of `payments_view`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("payments")

    async def load(self, order_ids: Sequence[str]) -> Mapping[str, PaymentRow]:
        """The newest row of each order that has one, by order id."""
        records = await self._database.read(self._sql["load"], list(order_ids))
        return {record["order_id"]: _payment(record) for record in records}

    async def by_id(self, payment_id: str) -> PaymentRow | None:
        """One payment by its own id."""
        records = await self._database.read(self._sql["by_id"], payment_id)
        return _payment(records[0]) if records else None

    async def totals(self, from_ms: int, to_ms: int) -> PaymentTotals:
        """The payments made in [from, to)."""
        records = await self._database.read(self._sql["totals"], from_ms, to_ms)
        return PaymentTotals(**records[0])


class PostgresStock:
    """Reads of `stock_view`; snapshots and returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("inventory")

    async def load(self, skus: Sequence[str]) -> Mapping[str, StockRow]:
        """The rows that exist."""
        records = await self._database.read(self._sql["load"], list(skus))
        return {record["sku"]: StockRow(**record) for record in records}

    async def in_stock(self) -> frozenset[str]:
        """Every SKU with on_hand > reserved."""
        return frozenset(record["sku"] for record in await self._database.read(self._sql["in_stock"]))

    async def levels(self, *, prefix: str, behind: str, available_max: int | None, limit: int) -> list[StockRow]:
        """A page of SKUs, by code point."""
        records = await self._database.read(self._sql["levels"], behind, prefix, available_max, limit)
        return [StockRow(**record) for record in records]

    async def best_sold(self, limit: int) -> list[StockRow]:
        """The SKUs that sold most, best first."""
        return [StockRow(**record) for record in await self._database.read(self._sql["best_sold"], limit)]

    async def totals(self, low_max: int) -> StockTotals:
        """Counts of all SKUs."""
        return StockTotals(**(await self._database.read(self._sql["totals"], low_max))[0])

    async def snapshots(self, shard: int, skus: Sequence[str] | None = None) -> list[SnapshotRow]:
        """The newest snapshot of each of these SKUs (None: of every SKU in the shard)."""
        wanted = None if skus is None else list(skus)
        records = await self._database.read(self._sql["snapshots"], shard, wanted)
        return [SnapshotRow(**record) for record in records]

    async def save_snapshots(self, shard: int, epoch: int, snapshots: Sequence[SnapshotRow]) -> bool:
        """Write snapshots of committed state, under the head's own epoch only."""
        highest_seq = max((row.seq for row in snapshots), default=0)
        newest = {(row.entity_type, row.entity_id): row for row in sorted(snapshots, key=lambda row: row.seq)}
        arguments = columns(_SNAPSHOT_COLUMNS, list(newest.values()))
        return bool(await self._database.write(self._sql["save_snapshots"], shard, epoch, highest_seq, *arguments))

    async def returned(self, order_id: str, sku: str) -> bool:
        """Whether this order's units of this SKU were taken back already."""
        return bool(await self._database.read(self._sql["returned"], order_id, sku))


def _order(record: Any) -> OrderRow:
    return OrderRow(**{**record, "seqs": tuple(record["seqs"])})


def _payment(record: Any) -> PaymentRow:
    return PaymentRow(**{**record, "seqs": tuple(record["seqs"])})
