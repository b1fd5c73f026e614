"""The process that follows the events is killed, frozen and doubled: it is back soon, and nobody's message is missing."""

import asyncio
import signal
from typing import Any, Final

import pytest

from tests.faults.shoppers import Crowd
from tests.live_platform import LivePlatform, send, until

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

SHOPPERS: Final = 10
_EPOCHS: Final = """
    SELECT 'notifier', epoch FROM orders.consumers WHERE consumer = 'notifier' UNION ALL
    SELECT 'carts', epoch FROM carts.consumers UNION ALL SELECT 'users', epoch FROM users.consumers"""
_UNREAD: Final = """
    SELECT (SELECT coalesce(sum(h.seq - coalesce(c.seq, 0)), 0) FROM orders.shard_head h
              LEFT JOIN orders.cursors c ON c.shard = h.shard AND c.consumer = 'notifier')
         + (SELECT count(*) FROM carts.outbox) + (SELECT count(*) FROM users.outbox)"""
_CONFIRMED: Final = "SELECT count(*) FROM orders.journal WHERE type = 'order.confirmed'"
_UNTOLD: Final = """
    SELECT j.entity_id FROM orders.journal j WHERE j.type = 'order.confirmed' AND NOT EXISTS (
        SELECT FROM users.notifications n WHERE n.event_id = 'order:' || j.entity_id || ':' || j.version)"""


async def test_the_consumers_that_are_killed_are_back_within_10_s_and_lose_nothing(
    platform: LivePlatform, crowd: Crowd
) -> None:
    (victim,) = await _at_work(platform)
    async with platform.database() as connection:
        before = await _epochs(connection)
        confirmed = await connection.fetchval(_CONFIRMED)
        async with crowd.at_work(SHOPPERS):
            await crowd.succeed(30)
            killed_s = send(victim, signal.SIGKILL)
            back_after_s = await _taken_anew(connection, before)
            await crowd.succeed(30)
        await _all_read(connection)
        assert await connection.fetchval(_CONFIRMED) > confirmed
        assert await connection.fetch(_UNTOLD) == []
    assert back_after_s <= 10
    assert crowd.failures_since(killed_s) == {}, "selling does not need them"
    assert victim not in platform.consumers()
    await crowd.check()


async def test_consumers_that_hang_are_replaced_and_what_wakes_up_puts_nothing_behind_it(
    platform: LivePlatform, crowd: Crowd
) -> None:
    (zombie,) = await _at_work(platform)
    async with platform.database() as connection:
        before = await _epochs(connection)
        async with crowd.at_work(SHOPPERS):
            await crowd.succeed(30)
            send(zombie, signal.SIGSTOP)
            try:
                await _taken_anew(connection, before)
                await crowd.succeed(20)
            finally:
                send(zombie, signal.SIGCONT)
            await until(lambda: _says(platform, zombie.pid, "consumers.replaced"), 15, "the zombie gives up")
            await crowd.succeed(20)
        await _all_read(connection)
        assert await connection.fetch(_UNTOLD) == []
        now = await _epochs(connection)
        assert {name: epoch - 1 for name, epoch in now.items()} == before, "somebody else took them once more"
        newest = await connection.fetchval("SELECT max(epoch) FROM orders.cursors WHERE consumer = 'notifier'")
        assert newest == now["notifier"]

    async def gone() -> bool:
        return zombie not in platform.consumers()

    await until(gone, 30, "the end of the zombie's process")
    assert len(platform.consumers()) == 1
    await crowd.check()


async def _at_work(platform: LivePlatform) -> Any:
    """The process, once it has taken everything."""

    async def has_taken() -> bool:
        processes = platform.consumers()
        return len(processes) == 1 and platform.log_of(processes[0].pid).count("consumer.taken") >= 3

    await until(has_taken, 30, "consumers at work")
    return platform.consumers()


async def _epochs(connection: Any) -> dict[str, int]:
    return dict(await connection.fetch(_EPOCHS))


async def _taken_anew(connection: Any, before: dict[str, int]) -> float:
    """Until another process has become every consumer; after how long (s)."""

    async def taken() -> bool:
        now = await _epochs(connection)
        return all(now[name] > epoch for name, epoch in before.items())

    return await until(taken, 40, "a new process takes the consumers")


async def _all_read(connection: Any) -> None:
    async def read() -> bool:
        return not await connection.fetchval(_UNREAD)

    await until(read, 20, "all events taken in")


async def _says(platform: LivePlatform, process_id: int, event: str) -> bool:
    return event in await asyncio.to_thread(platform.log_of, process_id)
