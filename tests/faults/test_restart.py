"""kill -9 of everything, then `up`: everything acknowledged is there, and what was under way goes on."""

import asyncio
import re
from typing import Any, Final

import asyncpg
import pytest

from serve.platform import database
from tests.faults.shoppers import Crowd
from tests.live_platform import LivePlatform, until
from tests.live_shop import Json, LiveShop, expect, new_cart, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

SHOPPERS: Final = 20
_EXPIRY: Final = re.compile(rb'"expires_at_ms":\d+')


async def test_after_kill_9_of_everything_all_goes_on(platform: LivePlatform, shop: LiveShop, crowd: Crowd) -> None:
    sku = await shop.new_sku(100)
    unpaid = expect(await shop.order({sku: 1}, token=None), 201)
    overdue = expect(await shop.order({sku: 2}, token=None), 201)
    async with crowd.at_work(SHOPPERS):
        await crowd.succeed(60)
        under_way, key = new_cart(), "under-way-when-killed"
        placing = asyncio.create_task(shop.order({sku: 4}, cart_id=under_way, token="tok_timeout_succeeds", key=key))
        await _journaled(platform, under_way)
        await asyncio.to_thread(platform.kill_everything)
        await asyncio.to_thread(_make_overdue, platform, overdue["id"])
        # With a second host this time, for the tests that need one.
        await asyncio.to_thread(platform.up, hosts=2)
        await crowd.succeed(100)
    assert isinstance((await asyncio.gather(placing, return_exceptions=True))[0], Exception), "it was answered: void"

    placed = expect(await shop.order({sku: 4}, cart_id=under_way, token="tok_timeout_succeeds", key=key), 201)
    assert placed["status"] == "confirmed"
    assert expect(await shop.pay(unpaid), 201)["status"] == "captured"
    await _becomes(shop, overdue, "expired")

    async def stock() -> Json:
        return await shop.stock(sku)

    await settles(stock, lambda found: (found["onHand"], found["reserved"]) == (95, 0), 10)
    await crowd.check()
    platform.audit()


async def _journaled(platform: LivePlatform, cart_id: str) -> None:
    """Wait until the order of this cart is durable, and its payment under way."""
    async with platform.database() as connection:

        async def durable() -> bool:
            return bool(
                await connection.fetchval("SELECT count(*) FROM orders.orders_view WHERE user_id = $1", cart_id)
            )

        await until(durable, 10, "the order in the store")


async def _becomes(shop: LiveShop, order: Json, status: str) -> None:
    async def ask() -> Json:
        return expect(await shop.get_order(order["id"], order["userId"]), 200)

    await settles(ask, lambda found: bool(found["status"] == status), 5)


def _make_overdue(platform: LivePlatform, order_id: str) -> None:
    """Say in the stopped database that the order was to be paid until a second ago, as if 15 minutes had passed."""

    async def rewrite() -> None:
        connection = await asyncpg.connect(server.url)
        try:
            now_ms = await connection.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            await _rewrite(connection, order_id, now_ms - 1_000)
        finally:
            await connection.close()

    with database.embedded(platform.folder) as server:
        asyncio.run(rewrite())


async def _rewrite(connection: "asyncpg.Connection[Any]", order_id: str, expires_at_ms: int) -> None:
    expiry = b'"expires_at_ms":%d' % expires_at_ms
    for table, column, name in (("journal", "body", "entity_id"), ("orders_view", "state", "id")):
        which = f"{name} = $1" + (" AND version = 1" if table == "journal" else "")
        old = await connection.fetchval(f"SELECT {column} FROM orders.{table} WHERE {which}", order_id)
        new, count = _EXPIRY.subn(expiry, old)
        assert count == 1
        await connection.execute(f"UPDATE orders.{table} SET {column} = $2 WHERE {which}", order_id, new)
    moved = await connection.execute(
        "UPDATE orders.timers SET due_at_ms = $2 WHERE entity_id = $1", order_id, expires_at_ms
    )
    assert moved == "UPDATE 1", "an order that waits to be paid has its timer"
