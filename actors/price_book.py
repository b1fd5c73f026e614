"""Prices for the checkout: the catalog's newest versions, read many at once and kept for a moment."""

import asyncio
from collections.abc import Callable, Sequence

from actors.domain.steps import Priced
from persistence.errors import StoreError
from persistence.ports import Catalog
from persistence.records import PriceRecord

FRESH_MS = 1_000
"""A price younger than this is used without asking."""
USABLE_MS = 60_000
"""While the catalog cannot be read, a price that was current this long ago is still used."""
PRICES_MAX = 100_000
"""Twice as many are kept: the older half goes at once, so that nobody misses what was read just now."""

_Entry = tuple[Priced | None, float]
"""A price, None if the SKU is not for sale, and when it was asked for."""


class PriceBook:
    """Guarantees: a price handed out was the newest at most `FRESH_MS` ago, or `USABLE_MS` while the catalog is down.

    `newest` raises `StoreError` if the catalog cannot be read and a price that is asked for is too old to use.
    """

    def __init__(self, catalog: Catalog, now_ms: Callable[[], float]) -> None:
        """`now_ms` is any clock that does not jump; only differences are used."""
        self._catalog = catalog
        self._now_ms = now_ms
        self._known: dict[str, _Entry] = {}
        self._known_before: dict[str, _Entry] = {}
        self._wanted: set[str] = set()
        self._reading: asyncio.Task[None] | None = None

    async def newest(self, skus: Sequence[str]) -> dict[str, Priced]:
        """Sku -> what it sells for; a SKU that is not for sale is absent."""
        wanted = tuple(skus)
        missing = {sku for sku in wanted if self._age_ms(sku) > FRESH_MS}
        if missing:
            await self._read(missing)
        known = ((sku, self._entry(sku)) for sku in wanted)
        return {sku: entry[0] for sku, entry in known if entry is not None and entry[0] is not None}

    def _entry(self, sku: str) -> _Entry | None:
        return self._known.get(sku) or self._known_before.get(sku)

    def _age_ms(self, sku: str) -> float:
        entry = self._entry(sku)
        return float("inf") if entry is None else self._now_ms() - entry[1]

    async def _read(self, skus: set[str]) -> None:
        """One query at a time; what is wanted meanwhile goes into the next one."""
        self._wanted |= skus
        while self._wanted & skus:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_wanted(), name="price-book")
                # Whoever waits for it may be gone when it fails.
                self._reading.add_done_callback(lambda reading: reading.cancelled() or reading.exception())
            try:
                await asyncio.shield(self._reading)
            except StoreError:
                if any(self._age_ms(sku) > USABLE_MS for sku in skus):
                    raise
                return

    async def _read_wanted(self) -> None:
        skus, self._wanted = self._wanted, set()
        asked_ms = self._now_ms()
        try:
            found = await self._catalog.prices(sorted(skus))
        finally:
            self._reading = None
        if len(self._known) >= PRICES_MAX:
            self._known_before, self._known = self._known, {}
        for sku in skus:
            record = found.get(sku)
            self._known[sku] = (None if record is None else _priced(record), asked_ms)


def _priced(record: PriceRecord) -> Priced:
    return Priced(
        sku=record.sku,
        product_id=record.product_id,
        name=record.name,
        price_minor=record.price_minor,
        price_version=record.version,
        currency=record.currency,
    )
