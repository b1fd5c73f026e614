"""Stock as product pages show it: read from the view, at most `catalog_stock_age_ms` behind."""

from collections.abc import Mapping, Sequence

from persistence.ports import Stock
from persistence.records import StockRow
from serve.clock import Clock
from serve.fresh_cache import FreshCache


class StockReads:
    """What can be bought, for lists that are asked often. Never used to decide an order."""

    def __init__(self, stock: Stock, clock: Clock, *, max_age_ms: int) -> None:
        self._stock = stock
        self._rows: FreshCache[str, StockRow] = FreshCache(stock.load, max_age_ms=max_age_ms, now_ms=clock.now_ms)
        self._in_stock: FreshCache[str, frozenset[str]] = FreshCache(
            self._load_in_stock, max_age_ms=max_age_ms, now_ms=clock.now_ms
        )

    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        """Units that can be bought, by SKU; 0 for a SKU without a record."""
        rows = await self._rows.get_many(skus)
        return {sku: rows[sku].on_hand - rows[sku].reserved if sku in rows else 0 for sku in skus}

    async def in_stock(self) -> frozenset[str]:
        """Every SKU with at least one unit to buy."""
        return await self._in_stock.get("") or frozenset()

    async def _load_in_stock(self, keys: Sequence[str]) -> Mapping[str, frozenset[str]]:
        found = await self._stock.in_stock()
        return dict.fromkeys(keys, found)
