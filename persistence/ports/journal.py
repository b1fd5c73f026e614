"""Journals, the views that their appends write, and those who follow them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from persistence.records import (
    FoundOrders,
    Head,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    OrderFilter,
    OrderRow,
    Page,
    PaymentRow,
    PaymentTotals,
    ShardBatch,
    SnapshotRow,
    StatusTotals,
    StockRow,
    StockTotals,
    TimerRow,
)


class Journal(Protocol):
    """One service's journal, with its state rows, timers and answers: everything one append writes."""

    @property
    def service(self) -> JournalService:
        """Which service's journal this is."""

    async def heads(self) -> list[Head]:
        """The heads of all shards that were ever fenced."""

    async def fence(self, shard: int, epoch: int) -> Head | None:
        """Raise the shard's epoch. None if its epoch is already `epoch` or higher: claim higher, fence again.

        Runs on a connection of its own, so that it waits for (or fences) a statement that another left behind.
        A shard without a head gets one at seq 0.
        """

    async def append(self, batches: Sequence[ShardBatch]) -> frozenset[tuple[int, int]]:
        """Write every batch whose epoch and expected seq are the head's; one statement, one round trip.

        Returns the (shard, epoch) pairs that were written. One that is missing was not written at all.
        A batch without events may still move timers, returns, idempotency rows and the low-water mark.
        Raises `WriteRefused`: nothing of the call was written. `OutcomeUnknown`: each batch maybe.
        """

    async def read(self, shard: int, after_seq: int, limit: int) -> list[JournalEvent]:
        """Events of one shard with seq > after_seq, in seq order."""

    async def read_at(self, shard: int, seqs: Sequence[int]) -> list[JournalEvent]:
        """The events at these seqs, in seq order (an entity's history)."""

    async def read_behind(self, positions: Mapping[int, int], limit: int) -> list[JournalEvent]:
        """What follows these seqs in these shards, at most `limit` events of each; each shard's in seq order."""

    async def timers(self, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""

    async def close(self) -> None:
        """Let go of connections."""


class Orders(Protocol):
    """Reads of `orders_view`, on the primary."""

    async def load(self, ids: Sequence[str]) -> Mapping[str, OrderRow]:
        """The rows that exist."""

    async def list(self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None) -> Page:
        """Newest first. Raises `ValueError` for a cursor that this adapter did not make."""

    async def find(self, wanted: OrderFilter, *, limit: int, cursor: str | None, scan_max: int) -> FoundOrders:
        """The orders that the filter lets through, newest first, and the cursor behind them; None at the end.

        At most about `scan_max` orders are looked at in one call, so a page may be short, or empty, with more behind it.
        Raises `ValueError` for a cursor that this adapter did not make.
        """

    async def totals(self, from_ms: int, to_ms: int) -> Sequence[StatusTotals]:
        """The orders made in [from, to), by the status they have now; no row for a status that none has."""


class Payments(Protocol):
    """Reads of `payments_view`, on the primary. Keyed by order id (the entity's id)."""

    async def load(self, order_ids: Sequence[str]) -> Mapping[str, PaymentRow]:
        """The rows that exist, by order id."""

    async def by_id(self, payment_id: str) -> PaymentRow | None:
        """One payment by its own id."""

    async def totals(self, from_ms: int, to_ms: int) -> PaymentTotals:
        """The payments made in [from, to)."""


class Stock(Protocol):
    """Reads of `stock_view`, and what a SKU needs besides its journal."""

    async def load(self, skus: Sequence[str]) -> Mapping[str, StockRow]:
        """The rows that exist."""

    async def in_stock(self) -> frozenset[str]:
        """Every SKU with on_hand > reserved."""

    async def levels(self, *, prefix: str, behind: str, available_max: int | None, limit: int) -> list[StockRow]:
        """The SKUs behind `behind` ("" from the first) that begin with `prefix`, by code point; at most `limit`.

        With `available_max` only those of which at most so many can be bought.
        """

    async def best_sold(self, limit: int) -> list[StockRow]:
        """The SKUs that sold most, best first; none that sold nothing."""

    async def totals(self, low_max: int) -> StockTotals:
        """Counts of all SKUs; low is what has at most `low_max` units to buy."""

    async def snapshots(self, shard: int, skus: Sequence[str] | None = None) -> list[SnapshotRow]:
        """The newest snapshot of each of these SKUs (None: of every SKU in the shard)."""

    async def save_snapshots(self, shard: int, epoch: int, snapshots: Sequence[SnapshotRow]) -> bool:
        """Write snapshots if the head's epoch is `epoch` and its seq has reached every snapshot's. Else False.

        An older snapshot never replaces a newer one.
        """

    async def returned(self, order_id: str, sku: str) -> bool:
        """Whether this order's units of this SKU were taken back already."""


class Cursors(Protocol):
    """How far each consumer has read one service's journal. A consumer is one at a time: its epoch says which."""

    @property
    def service(self) -> JournalService:
        """Which service's journal this is about."""

    async def take(self, consumer: str) -> tuple[int, Mapping[int, int]]:
        """Become this consumer: its epoch goes up, and what the one before still writes is refused.

        Returns the epoch and the seq that each shard was read up to; a shard that is missing was never read.
        """

    async def advance(self, consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
        """Move shards' cursors forward, never back. False if the epoch is no longer ours: nothing was written."""

    async def positions(self, consumer: str) -> Mapping[int, int]:
        """The seq that each shard was read up to, without becoming the consumer (lag, audit)."""
