"""The figures of a shop's dashboard, read so that looking at them costs the shop little."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from persistence.errors import StoreUnavailable
from persistence.records import PaymentTotals, StatusTotals, StockTotals, UserTotals
from persistence.stores import Stores
from serve.clock import Clock
from serve.paced_read import PacedRead

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
DAYS_MAX: Final = 31
MINUTE_MS: Final = 60_000
TOP_PRODUCTS: Final = 10

_TODAY_AGE_MS: Final = 5_000
_NOW_AGE_MS: Final = 1_000
_STOCK_AGE_MS: Final = 15_000
_PEOPLE_AGE_MS: Final = 60_000
_CLOSED_DAY_AGE_MS: Final = 600_000
"""A day that is over still changes when its orders are cancelled or given back, but not by much."""

_DAYS_AT_ONCE: Final = 2
_SKUS_LOOKED_AT: Final = 100
_PAID: Final = frozenset({"confirmed", "shipped", "delivered", "refunded"})


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day (UTC): the orders made on it, by the status they have now, and what its payments brought until now."""

    start_ms: int
    by_status: Mapping[str, StatusTotals]
    payments: PaymentTotals

    @property
    def orders(self) -> int:
        """All that were made, whatever became of them."""
        return sum(row.orders for row in self.by_status.values())

    @property
    def revenue_minor(self) -> int:
        """Captured less refunded."""
        return self.payments.captured_minor - self.payments.refunded_minor

    @property
    def average_order_minor(self) -> int | None:
        """The mean worth of the orders that were paid, to the nearest unit; None if none was."""
        paid = [row for status, row in self.by_status.items() if status in _PAID]
        orders = sum(row.orders for row in paid)
        return (2 * sum(row.total_minor for row in paid) + orders) // (2 * orders) if orders else None


def _sum(start_ms: int, parts: Sequence[tuple[Sequence[StatusTotals], PaymentTotals]]) -> Day:
    by_status: dict[str, StatusTotals] = {}
    for rows, _ in parts:
        for row in rows:
            held = by_status.get(row.status)
            by_status[row.status] = StatusTotals(
                status=row.status,
                orders=row.orders + (held.orders if held else 0),
                total_minor=row.total_minor + (held.total_minor if held else 0),
            )
    payments = PaymentTotals(
        payments=sum(paid.payments for _, paid in parts),
        captured_minor=sum(paid.captured_minor for _, paid in parts),
        refunded_minor=sum(paid.refunded_minor for _, paid in parts),
    )
    return Day(start_ms=start_ms, by_status=by_status, payments=payments)


class TopProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product and the units of it that were sold, ever. A SKU that is no longer on sale stands for itself, by name."""

    product_id: str | None
    name: str
    sold: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the dashboard shows. `days`: start of the day → its figures, None for one that is not read yet."""

    as_of_ms: int
    today: Day
    days: Mapping[int, Day | None]
    orders_per_minute: int
    top_products: tuple[TopProduct, ...]
    stock: StockTotals
    users: UserTotals


def day_start_ms(at_ms: int) -> int:
    """Midnight UTC before it."""
    return at_ms - at_ms % DAY_MS


def day_name(start_ms: int) -> str:
    """Such as 2026-01-31."""
    return datetime.fromtimestamp(start_ms // 1_000, UTC).date().isoformat()


class ShopStats:
    """Reads the figures, each part at its own pace, for all who look.

    Nothing is read while nobody looks. Today is at most 5 s old, or twenty times as old as reading it takes; other parts
    are older. Days before today are read two at a time, and kept.
    """

    def __init__(self, stores: Stores, clock: Clock, *, low_stock_max: int) -> None:
        self._stores = stores
        self._clock = clock
        self._low_stock_max = low_stock_max
        self._days: dict[tuple[int, bool], PacedRead[Day]] = {}
        self._slots = asyncio.Semaphore(_DAYS_AT_ONCE)
        now_ms = clock.now_ms
        self._minute = PacedRead(self._read_minute, max_age_ms=_NOW_AGE_MS, now_ms=now_ms)
        self._top = PacedRead(self._read_top, max_age_ms=_STOCK_AGE_MS, now_ms=now_ms)
        self._stock = PacedRead(
            lambda: stores.stock.totals(self._low_stock_max), max_age_ms=_STOCK_AGE_MS, now_ms=now_ms
        )
        self._users = PacedRead(self._read_users, max_age_ms=_PEOPLE_AGE_MS, now_ms=now_ms)

    @property
    def low_stock_max(self) -> int:
        """A SKU is low when at most so many units of it can be bought."""
        return self._low_stock_max

    async def read(self, days: int, *, wait_ms: int) -> Figures:
        """The figures, with the last `days` days (today is one of them).

        Days before today that are not read within `wait_ms` are None, and are read on in the background. Raises `StoreError`.
        """
        now_ms = self._clock.now_ms()
        today_ms = day_start_ms(now_ms)
        starts = [today_ms - n * DAY_MS for n in reversed(range(days))]
        history = asyncio.create_task(self._history(starts[:-1], wait_ms))
        try:
            today, minute, top, stock, users = await asyncio.gather(
                self._day(today_ms).get(),
                self._minute.get(),
                self._top.get(),
                self._stock.get(),
                self._users.get(),
            )
            known = await history
        finally:
            history.cancel()
        self._forget_before(today_ms - DAYS_MAX * DAY_MS)
        return Figures(
            as_of_ms=now_ms,
            today=today,
            days={start: today if start == today_ms else known.get(start) for start in starts},
            orders_per_minute=minute,
            top_products=top,
            stock=stock,
            users=users,
        )

    async def _history(self, starts: list[int], wait_ms: int) -> dict[int, Day]:
        if not starts:
            return {}
        reads = {start: asyncio.ensure_future(self._day(start).get()) for start in starts}
        try:
            done, _ = await asyncio.wait(reads.values(), timeout=wait_ms / 1_000)
            return {start: read.result() for start, read in reads.items() if read in done and read.exception() is None}
        finally:
            for read in reads.values():
                # Only our wait for it ends: the read itself is shielded.
                read.cancel()

    def _day(self, start_ms: int) -> PacedRead[Day]:
        closed = start_ms + DAY_MS <= self._clock.now_ms()
        found = self._days.get((start_ms, closed))
        if found is None:
            read = self._read_closed_day if closed else self._read_day
            found = self._days[start_ms, closed] = PacedRead(
                lambda: read(start_ms),
                max_age_ms=_CLOSED_DAY_AGE_MS if closed else _TODAY_AGE_MS,
                now_ms=self._clock.now_ms,
            )
        return found

    async def _read_closed_day(self, start_ms: int) -> Day:
        async with self._slots:  # today, which whoever looks is waiting for, stands in no such line
            return await self._read_day(start_ms)

    async def _read_day(self, start_ms: int) -> Day:
        try:
            parts = [await self._read_part(start_ms, start_ms + DAY_MS)]
        except StoreUnavailable:
            # More orders than one statement may take its time over. If the store is down the first hour says so.
            hours = range(start_ms, start_ms + DAY_MS, HOUR_MS)
            parts = [await self._read_part(hour_ms, hour_ms + HOUR_MS) for hour_ms in hours]
        return _sum(start_ms, parts)

    async def _read_part(self, from_ms: int, to_ms: int) -> tuple[Sequence[StatusTotals], PaymentTotals]:
        return await asyncio.gather(
            self._stores.orders.totals(from_ms, to_ms), self._stores.payments.totals(from_ms, to_ms)
        )

    async def _read_minute(self) -> int:
        now_ms = self._clock.now_ms()
        rows = await self._stores.orders.totals(now_ms - MINUTE_MS, now_ms + MINUTE_MS)
        return sum(row.orders for row in rows)

    async def _read_top(self) -> tuple[TopProduct, ...]:
        rows = await self._stores.stock.best_sold(_SKUS_LOOKED_AT)
        prices = await self._stores.catalog.prices([row.sku for row in rows])
        sold: dict[tuple[str | None, str], int] = {}
        for row in rows:
            price = prices.get(row.sku)
            product = (None, row.sku) if price is None else (price.product_id, price.name)
            sold[product] = sold.get(product, 0) + row.sold
        best = sorted(sold.items(), key=lambda item: -item[1])[:TOP_PRODUCTS]
        return tuple(TopProduct(product_id=product_id, name=name, sold=units) for (product_id, name), units in best)

    async def _read_users(self) -> UserTotals:
        return await self._stores.users.totals(day_start_ms(self._clock.now_ms()))

    def _forget_before(self, start_ms: int) -> None:
        for day in [day for day in self._days if day[0] < start_ms]:
            del self._days[day]
