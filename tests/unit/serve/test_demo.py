"""The tour, played on the whole shop in one process."""

import io

from rich.console import Console

from serve.demo import play
from tests.shop_world import Shop


async def test_the_tour_passes_and_can_be_repeated(shop: Shop) -> None:
    out = io.StringIO()
    for _ in range(3):
        assert await play(shop.client, Console(file=out, width=200)) == 0, out.getvalue()
    assert out.getvalue().count("Pay it") == 3


async def test_the_tour_says_what_it_expected(shop: Shop) -> None:
    await shop.client.delete("/api/v1/products/prod-laptop-001", headers=shop.admin)
    out = io.StringIO()
    assert await play(shop.client, Console(file=out, width=200)) == 1
    assert "the catalog is empty" in out.getvalue()
