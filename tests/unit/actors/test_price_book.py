"""The newest prices, from a bounded memory that never forgets what somebody is about to use."""

import asyncio

import pytest

from actors import price_book
from actors.price_book import PriceBook
from persistence.errors import StoreUnavailable
from persistence.records import PriceRecord


class Catalog:
    """Prices for every SKU but `gone`; fails when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.down = False

    async def prices(self, skus: list[str]) -> dict[str, PriceRecord]:
        self.asked.append(tuple(skus))
        await asyncio.sleep(0)
        if self.down:
            raise StoreUnavailable("down")
        return {
            sku: PriceRecord(
                sku=sku,
                product_id="p",
                name=sku,
                price_minor=5,
                version=1,
                currency="EUR",
                valid_from_ms=0,
                replaced_at_ms=None,
            )
            for sku in skus
            if sku != "gone"
        }


class Shop:
    def __init__(self) -> None:
        self.catalog = Catalog()
        self.now_ms = 0.0
        self.book = PriceBook(self.catalog, lambda: self.now_ms)  # type: ignore[arg-type]


def test_what_is_read_while_memory_overflows_is_there_for_whoever_was_about_to_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price_book, "PRICES_MAX", 4)

    async def scenario() -> None:
        shop = Shop()
        await shop.book.newest(["a", "b", "c", "d"])
        # a is fresh, e is not: reading e overflows the memory that a is in
        assert set(await shop.book.newest(["a", "e"])) == {"a", "e"}

    asyncio.run(scenario())


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_book, "PRICES_MAX", 4)

    async def scenario() -> None:
        shop = Shop()
        for n in range(100):
            await shop.book.newest([f"s{n}"])
        assert len(shop.book._known) + len(shop.book._known_before) <= 8

    asyncio.run(scenario())


def test_a_price_is_asked_for_again_after_a_second_and_used_for_a_minute_while_the_catalog_is_down() -> None:
    async def scenario() -> None:
        shop = Shop()
        assert set(await shop.book.newest(["a", "gone"])) == {"a"}
        await shop.book.newest(["a", "gone"])
        assert len(shop.catalog.asked) == 1
        shop.now_ms, shop.catalog.down = 1_500, True
        assert set(await shop.book.newest(["a"])) == {"a"}
        assert len(shop.catalog.asked) == 2
        shop.now_ms = 61_000
        with pytest.raises(StoreUnavailable):
            await shop.book.newest(["a"])

    asyncio.run(scenario())
