"""The tour, played on the whole shop in one process."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

from rich.console import Console

from serve.demo import play
from tests.shop_world import Shop
from tests.unit.notifications.feed import Feed


@contextlib.asynccontextmanager
async def told(shop: Shop) -> AsyncIterator[None]:
    """Its customers are told what happens, as by the consumers' process."""
    feed = Feed(shop.stores)

    async def follow() -> None:
        while True:
            await feed.follow()
            await asyncio.sleep(0.01)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])


async def test_the_tour_passes_and_can_be_repeated(shop: Shop) -> None:
    out = io.StringIO()
    async with told(shop):
        for _ in range(3):
            assert await play(shop.client, Console(file=out, width=200)) == 0, out.getvalue()
    for step in ("Pay it", "The mail about it has arrived", "Track it as the customer", "order_delivered has arrived"):
        assert out.getvalue().count(step) == 3


async def test_the_tour_says_what_it_expected(shop: Shop) -> None:
    await shop.client.delete("/api/v1/products/prod-laptop-001", headers=shop.admin)
    out = io.StringIO()
    assert await play(shop.client, Console(file=out, width=200)) == 1
    assert "the catalog is empty" in out.getvalue()


async def test_the_tour_misses_a_mail_that_does_not_come(shop: Shop, monkeypatch) -> None:
    monkeypatch.setattr("serve.demo_after_sale.MAIL_WITHIN_S", 0.2)
    out = io.StringIO()
    assert await play(shop.client, Console(file=out, width=200)) == 1
    assert "The mail about it has arrived: not so within 0.2 s" in out.getvalue()
