"""What can be bought now, at what price: asked of the stores afresh, many requests to a query."""

from collections.abc import Mapping, Sequence
from typing import Final

from persistence.ports import Catalog, Stock
from persistence.records import PriceRecord, StockRow
from serve.clock import Clock
from serve.fresh_cache import FreshCache

_NOT_EVEN_THIS_MS: Final = -1
"""Answers are shared by those who ask at one time, and never kept: whoever has just changed something sees it."""


class Offers:
    """Prices and stock as their stores hold them.

    Guarantees: what is answered was read after the call began. One query at a time for each of the two, so any number
    of callers cost one query a round trip. Never decides an order: the order asks again by itself.
    """

    def __init__(self, catalog: Catalog, stock: Stock, clock: Clock) -> None:
        self._prices: FreshCache[str, PriceRecord] = FreshCache(
            catalog.prices, max_age_ms=_NOT_EVEN_THIS_MS, now_ms=clock.now_ms
        )
        self._stock: FreshCache[str, StockRow] = FreshCache(
            stock.load, max_age_ms=_NOT_EVEN_THIS_MS, now_ms=clock.now_ms
        )

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price of each SKU that can be bought."""
        return await self._prices.get_many(skus)

    async def stock(self, skus: Sequence[str]) -> Mapping[str, StockRow]:
        """The record of each SKU that has one."""
        return await self._stock.get_many(skus)

    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        """Units that can be bought; 0 for a SKU without a record."""
        rows = await self.stock(skus)
        return {sku: rows[sku].on_hand - rows[sku].reserved if sku in rows else 0 for sku in skus}
