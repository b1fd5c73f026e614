"""kill -9 of Ray's raylet: nothing of a node comes back by itself, so the platform says so and stops; `up` brings it back."""

import asyncio

import psutil
import pytest

from tests.faults.shoppers import Crowd
from tests.live_platform import LivePlatform, until
from tests.live_shop import LiveShop

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]

STOPPED_WITHIN_S = 60


async def test_without_its_raylet_the_platform_stops_and_leaves_nothing(
    platform: LivePlatform, shop: LiveShop, crowd: Crowd
) -> None:
    await shop.new_sku(10)
    raylet = next(child for child in psutil.Process(platform.pid).children() if child.name() == "raylet")
    async with crowd.at_work(5):
        await crowd.succeed(20)
        raylet.kill()

        async def gone() -> bool:
            return not await asyncio.to_thread(platform.processes)

        await until(gone, STOPPED_WITHIN_S, "the end of every process")
        assert "raylet has ended" in platform.folder.log_file.read_text(encoding="utf-8")
        await asyncio.to_thread(platform.up)
        await crowd.succeed(20)
    await crowd.check()
    platform.audit()
