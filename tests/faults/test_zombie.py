"""A shard host that is frozen past its lease, and wakes up when others have taken its shards."""

import asyncio
import signal
import time
from typing import Final

import httpx
import pytest
from asyncpg import Record

from tests.faults.shoppers import Crowd
from tests.live_platform import LivePlatform, send, until
from tests.live_shop import Json, LiveShop, expect, new_cart, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

SHOPPERS: Final = 20
HELD_SKUS: Final = 8
SLOW_ORDERS: Final = 12
UNITS: Final = 5
FENCED: Final = "append.fenced"
_HOSTS: Final = "SELECT host, incarnation FROM cluster.hosts"
_DEAD_OWNERS: Final = """
    SELECT count(*) FROM cluster.shards s
    WHERE NOT EXISTS (SELECT FROM cluster.hosts h WHERE (h.host, h.incarnation) = (s.owner, s.incarnation))"""


async def test_a_host_frozen_past_its_lease_writes_nothing_when_it_wakes(
    platform: LivePlatform, shop: LiveShop, crowd: Crowd
) -> None:
    platform.have_hosts(2)
    zombie = platform.shard_hosts()[0]
    fenced_before = platform.log_of(zombie.pid).count(FENCED)
    held = [await shop.new_sku(UNITS) for _ in range(HELD_SKUS)]
    slow = {new_cart(): await shop.new_sku(1) for _ in range(SLOW_ORDERS)}
    async with crowd.at_work(SHOPPERS):
        await crowd.succeed(60)
        # These end while the host is frozen: its successor ends them, and the zombie, waking, wants to end its own too.
        for sku in held:
            body = {"quantity": UNITS, "orderId": "test-1", "ttlSeconds": 3}
            expect(await shop.client.post(f"/inventory/{sku}/reserve", json=body, headers=shop.admin), 201)
        # And these wait for the gateway; when it has timed out, which is journaled, their host will have been frozen.
        placing = asyncio.gather(*(_place_slowly(shop, sku, cart) for cart, sku in slow.items()))
        await _journaled(platform, list(slow))
        hosts = await _hosts(platform)
        frozen_s = send(zombie, signal.SIGSTOP)
        try:
            await _taken_over(platform, hosts)
            taken_over_after_s = time.monotonic() - frozen_s
            await crowd.succeed(60)
        finally:
            woken_s = send(zombie, signal.SIGCONT)
        await crowd.succeed(60)
    await placing
    await _come_back(platform, zombie.pid)
    assert woken_s - frozen_s > 6, "it kept its lease: the test is void"
    assert platform.log_of(zombie.pid).count(FENCED) > fenced_before, "it tried to write nothing: the test is void"
    assert taken_over_after_s <= 10
    assert crowd.refused_after(frozen_s) <= 10, crowd.summary()
    assert crowd.failures_since(woken_s) == {}, "its return was noticed"
    for cart, sku in slow.items():
        assert expect(await _place_slowly(shop, sku, cart), 201)["status"] == "confirmed"
    for sku, units in {**dict.fromkeys(held, UNITS), **dict.fromkeys(slow.values(), 0)}.items():

        async def stock(sku: str = sku) -> Json:
            return await shop.stock(sku)

        def agrees(found: Json, units: int = units) -> bool:
            return (found["onHand"], found["reserved"]) == (units, 0)

        await settles(stock, agrees, 20)
    await crowd.check()
    platform.audit()


async def test_a_host_killed_beside_another_is_taken_over_within_5_s(platform: LivePlatform, crowd: Crowd) -> None:
    platform.have_hosts(2)
    victim = platform.shard_hosts()[-1]
    async with crowd.at_work(SHOPPERS):
        await crowd.succeed(60)
        hosts = await _hosts(platform)
        killed_s = send(victim, signal.SIGKILL)
        await _taken_over(platform, hosts)
        taken_over_after_s = time.monotonic() - killed_s
        await crowd.succeed(100)
    assert taken_over_after_s <= 5
    assert crowd.refused_after(killed_s) <= 5, crowd.summary()
    await crowd.check()
    platform.audit()


async def _place_slowly(shop: LiveShop, sku: str, cart_id: str) -> httpx.Response:
    """Order what the gateway does not answer in time, and repeat it with its key until the outcome is known."""
    while True:
        answer = await shop.order({sku: 1}, cart_id=cart_id, token="tok_timeout_succeeds", key=f"slow-{cart_id}")
        if answer.status_code not in {202, 503}:
            return answer
        await asyncio.sleep(0.5)


async def _journaled(platform: LivePlatform, carts: list[str]) -> None:
    """Wait until the orders of these carts are durable."""
    async with platform.database() as connection:

        async def durable() -> bool:
            found = await connection.fetchval("SELECT count(*) FROM orders.orders_view WHERE user_id = ANY($1)", carts)
            return bool(found == len(carts))

        await until(durable, 2, "all orders in the store")


async def _hosts(platform: LivePlatform) -> set[Record]:
    async with platform.database() as connection:
        return set(await connection.fetch(_HOSTS))


async def _taken_over(platform: LivePlatform, before: set[Record]) -> None:
    """Wait until one of the hosts that were there before was buried and every shard is a living one's again."""
    async with platform.database() as connection:

        async def buried() -> bool:
            return not before <= set(await connection.fetch(_HOSTS))

        async def owned() -> bool:
            return not await connection.fetchval(_DEAD_OWNERS)

        await until(buried, 20, "a burial")
        await until(owned, 20, "an owner for every shard")


async def _come_back(platform: LivePlatform, pid: int) -> None:
    """Wait until the host has noticed what it lost and has joined anew."""

    async def joined() -> bool:
        return "membership.joined" in platform.log_of(pid).partition("membership.lost")[2]

    await until(joined, 15, "the zombie joins again")
