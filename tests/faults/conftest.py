"""Faults: every test leaves the platform running, and ends with the audit of all that was ever done on it."""

import time

import pytest

from tests.faults.shoppers import Crowd
from tests.live_platform import LivePlatform
from tests.live_shop import LiveShop

STOCK = 100_000


@pytest.fixture
async def crowd(platform: LivePlatform, shop: LiveShop) -> Crowd:
    """Shoppers over SKUs that nobody else buys, three with plenty and one scarce."""
    return Crowd(
        shop, {await shop.new_sku(units): units for units in (STOCK, STOCK, STOCK, 1)}, seed=time.time_ns() % 1_000_000
    )
