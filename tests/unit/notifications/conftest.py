from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.shop_world import Shop, open_shop
from tests.unit.notifications.feed import Feed


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


@pytest.fixture
def feed(shop: Shop) -> Feed:
    """A notifier that follows the shop; without a mailer mail is kept."""
    return Feed(shop.stores)
