"""Reads of the state rows, and a SKU's snapshots and returns, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.memory.seams import Seams
from persistence.memory.tables import JournalTables
from persistence.order_lists import FOUND_ORDERS, first_place, matches
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


@dataclass(slots=True)
class MemoryOrders:
    """Reads of `orders_view`."""

    tables: JournalTables
    seams: Seams = field(default_factory=Seams)

    async def load(self, ids: Sequence[str]) -> Mapping[str, OrderRow]:
        """The rows that exist."""
        return await self.seams.call("orders.load", lambda: self._load(ids))

    async def list(self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None) -> Page:
        """Newest first."""
        behind = None if cursor is None else decode_number_cursor("orders", cursor)
        return await self.seams.call("orders.list", lambda: self._list(user_id, status, limit, behind))

    async def find(self, wanted: OrderFilter, *, limit: int, cursor: str | None, scan_max: int) -> FoundOrders:
        """What the filter lets through, newest first."""
        behind = first_place(wanted, cursor)
        return await self.seams.call("orders.find", lambda: self._find(wanted, limit, behind, scan_max))

    async def totals(self, from_ms: int, to_ms: int) -> Sequence[StatusTotals]:
        """The orders made in [from, to), by status."""
        return await self.seams.call("orders.totals", lambda: self._totals(from_ms, to_ms))

    def _find(self, wanted: OrderFilter, limit: int, behind: tuple[int, str], scan_max: int) -> FoundOrders:
        looked_at = sorted(
            (
                row
                for row in self.tables.views.values()
                if isinstance(row, OrderRow)
                and row.created_at_ms >= (wanted.from_ms or 0)
                and _place(row) < behind
                and (wanted.user_id is None or row.user_id == wanted.user_id)
            ),
            key=_place,
            reverse=True,
        )
        end = None
        if wanted.user_id is None and len(looked_at) >= scan_max:
            looked_at = looked_at[:scan_max]
            end = _place(looked_at[-1])
        found = [row for row in looked_at if matches(wanted, row)]
        page = found[:limit]
        if len(found) > limit:
            end = _place(page[-1])
        return page, None if end is None else encode_cursor(FOUND_ORDERS, *end)

    def _totals(self, from_ms: int, to_ms: int) -> Sequence[StatusTotals]:
        by_status: dict[str, list[int]] = {}
        for row in self.tables.views.values():
            if isinstance(row, OrderRow) and from_ms <= row.created_at_ms < to_ms:
                by_status.setdefault(row.status, []).append(row.total_minor)
        return [
            StatusTotals(status=status, orders=len(totals), total_minor=sum(totals))
            for status, totals in by_status.items()
        ]

    def _load(self, ids: Sequence[str]) -> Mapping[str, OrderRow]:
        rows = ((order_id, self.tables.views.get(order_id)) for order_id in ids)
        return {order_id: row for order_id, row in rows if isinstance(row, OrderRow)}

    def _list(self, user_id: str | None, status: str | None, limit: int, behind: tuple[int, str] | None) -> Page:
        rows = [
            row
            for row in self.tables.views.values()
            if isinstance(row, OrderRow)
            and (user_id is None or row.user_id == user_id)
            and (status is None or row.status == status)
            and (behind is None or (row.created_at_ms, row.id) < behind)
        ]
        rows.sort(key=lambda row: (row.created_at_ms, row.id), reverse=True)
        page = rows[:limit]
        more = len(rows) > limit
        return page, encode_cursor("orders", page[-1].created_at_ms, page[-1].id) if more else None, None


@dataclass(slots=True)
class MemoryPayments:
    """Reads of `payments_view`."""

    tables: JournalTables
    seams: Seams = field(default_factory=Seams)

    async def load(self, order_ids: Sequence[str]) -> Mapping[str, PaymentRow]:
        """The rows that exist, by order id."""
        return await self.seams.call("payments.load", lambda: self._load(order_ids))

    async def by_id(self, payment_id: str) -> PaymentRow | None:
        """One payment by its own id."""

        def find() -> PaymentRow | None:
            row = self.tables.views.get(payment_id)
            return row if isinstance(row, PaymentRow) else None

        return await self.seams.call("payments.by_id", find)

    async def totals(self, from_ms: int, to_ms: int) -> PaymentTotals:
        """The payments made in [from, to)."""

        def add_up() -> PaymentTotals:
            rows = [
                row
                for row in self.tables.views.values()
                if isinstance(row, PaymentRow) and from_ms <= row.created_at_ms < to_ms
            ]
            return PaymentTotals(
                payments=len(rows),
                captured_minor=sum(row.captured_minor for row in rows),
                refunded_minor=sum(row.refunded_minor for row in rows),
            )

        return await self.seams.call("payments.totals", add_up)

    def _load(self, order_ids: Sequence[str]) -> Mapping[str, PaymentRow]:
        found: dict[str, PaymentRow] = {}
        for order_id in order_ids:
            for payment_id in sorted(self.tables.payments_of.get(order_id, ())):
                row = self.tables.views.get(payment_id)
                if isinstance(row, PaymentRow) and (order_id not in found or found[order_id].version < row.version):
                    found[order_id] = row
        return found


@dataclass(slots=True)
class MemoryStock:
    """Reads of `stock_view`; snapshots and returns."""

    tables: JournalTables
    seams: Seams = field(default_factory=Seams)

    async def load(self, skus: Sequence[str]) -> Mapping[str, StockRow]:
        """The rows that exist."""

        def find() -> Mapping[str, StockRow]:
            rows = ((sku, self.tables.views.get(sku)) for sku in skus)
            return {sku: row for sku, row in rows if isinstance(row, StockRow)}

        return await self.seams.call("inventory.load", find)

    async def in_stock(self) -> frozenset[str]:
        """Every SKU with on_hand > reserved."""

        def find() -> frozenset[str]:
            rows = self.tables.views.values()
            return frozenset(row.sku for row in rows if isinstance(row, StockRow) and row.on_hand > row.reserved)

        return await self.seams.call("inventory.in_stock", find)

    async def levels(self, *, prefix: str, behind: str, available_max: int | None, limit: int) -> list[StockRow]:
        """A page of SKUs, by code point."""

        def find() -> list[StockRow]:
            rows = (
                row
                for row in self._rows()
                if row.sku > behind
                and row.sku.startswith(prefix)
                and (available_max is None or row.on_hand - row.reserved <= available_max)
            )
            return sorted(rows, key=lambda row: row.sku)[:limit]

        return await self.seams.call("inventory.levels", find)

    async def best_sold(self, limit: int) -> list[StockRow]:
        """The SKUs that sold most, best first."""

        def find() -> list[StockRow]:
            return sorted((row for row in self._rows() if row.sold), key=lambda row: (-row.sold, row.sku))[:limit]

        return await self.seams.call("inventory.best_sold", find)

    async def totals(self, low_max: int) -> StockTotals:
        """Counts of all SKUs."""

        def count() -> StockTotals:
            available = [row.on_hand - row.reserved for row in self._rows()]
            return StockTotals(
                skus=len(available), low=sum(units <= low_max for units in available), out=available.count(0)
            )

        return await self.seams.call("inventory.totals", count)

    async def snapshots(self, shard: int, skus: Sequence[str] | None = None) -> list[SnapshotRow]:
        """The newest snapshot of each of these SKUs (None: of every SKU in the shard)."""

        def find() -> list[SnapshotRow]:
            wanted = None if skus is None else set(skus)
            return [
                row
                for key, row in sorted(self.tables.snapshots.items())
                if key[0] == shard and (wanted is None or row.entity_id in wanted)
            ]

        return await self.seams.call("inventory.snapshots", find)

    async def save_snapshots(self, shard: int, epoch: int, snapshots: Sequence[SnapshotRow]) -> bool:
        """Write snapshots of committed state, under the head's own epoch only."""
        return await self.seams.call("inventory.save_snapshots", lambda: self._save(shard, epoch, snapshots))

    async def returned(self, order_id: str, sku: str) -> bool:
        """Whether this order's units of this SKU were taken back already."""
        return await self.seams.call("inventory.returned", lambda: (order_id, sku) in self.tables.returns)

    def _rows(self) -> list[StockRow]:
        return [row for row in self.tables.views.values() if isinstance(row, StockRow)]

    def _save(self, shard: int, epoch: int, snapshots: Sequence[SnapshotRow]) -> bool:
        head = self.tables.heads.get(shard)
        if head is None or head.epoch != epoch or any(row.seq > head.seq for row in snapshots):
            return False
        for row in snapshots:
            key = (shard, row.entity_type, row.entity_id)
            held = self.tables.snapshots.get(key)
            if held is None or held.seq < row.seq:
                self.tables.snapshots[key] = row
        return True


def _place(row: OrderRow) -> tuple[int, str]:
    return row.created_at_ms, row.id
