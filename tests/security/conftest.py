from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http_app import World, open_world
from tests.shop_world import Shop, open_shop


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened
