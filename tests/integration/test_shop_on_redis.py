"""The shop with its carts in a real Redis: everything else is in memory, and stays while Redis comes and goes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.runtime.host_runtime import HostRuntime
from persistence.memory.tables import MemoryTables
from persistence.redis.stores import open_redis
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_memory_stores
from tests.servers.redis import RedisProcess, redis_process
from tests.shop_world import CARD, Shop, eventually, open_shop, wall_ms

__all__ = ["redis_process"]


@contextlib.asynccontextmanager
async def stores_on(redis_process: RedisProcess, tables: MemoryTables) -> AsyncIterator[Stores]:
    stores = open_memory_stores(wall_ms, tables=tables)
    settings = StoreSettings.of("postgresql://unused", connect_timeout_ms=10_000, answer_timeout_ms=10_000)
    opened = open_redis(redis_process.url, settings, stores.retention)
    outboxes = {**stores.outboxes, "carts": opened.outbox}
    try:
        yield replace(stores, carts=opened.carts, outboxes=outboxes, retention=opened.retention)
    finally:
        await opened.close()


@pytest.fixture
async def shop(redis_process: RedisProcess, tmp_path: Path) -> AsyncIterator[Shop]:
    async with stores_on(redis_process, MemoryTables()) as stores, open_shop(tmp_path, stores=stores) as shop:
        yield shop


async def lines(shop: Shop, cart: str) -> dict[str, int]:
    """Quantities by SKU."""
    answer = await shop.client.get(f"/api/v1/cart/{cart}")
    assert answer.status_code == 200, answer.text
    return {line["sku"]: line["quantity"] for line in answer.json()["items"]}


async def in_redis(shop: Shop, cart: str) -> int:
    """The version that the store has; 0 without one."""
    found = await shop.stores.carts.load([cart])
    return found[cart].version if found else 0


async def test_a_cart_is_filled_ordered_and_its_events_wait_in_the_outbox(shop: Shop) -> None:
    assert (await shop.add("guest-1", quantity=2)).status_code in {200, 201}
    assert await lines(shop, "guest-1") == {"LAPTOP-001": 2}
    order = await shop.place("guest-1", paymentMethod=CARD)
    assert order.status_code == 201, order.text

    async def cleared() -> bool:
        return await lines(shop, "guest-1") == {}

    await eventually(cleared)
    assert (await shop.stock())["available"] == 8
    rows = await shop.stores.outboxes["carts"].read(100)
    mine = [row.event for row in rows if row.event.entity_id == "guest-1"]
    assert [event.version for event in mine] == list(range(1, len(mine) + 1))
    assert [event.type for event in mine][:: len(mine) - 1] == ["cart.item_added", "cart.ordered"]


async def test_carts_and_answers_are_there_after_everything_was_killed(
    redis_process: RedisProcess, tmp_path: Path
) -> None:
    tables = MemoryTables()
    key = {"Idempotency-Key": "add-once"}
    async with stores_on(redis_process, tables) as stores, open_shop(tmp_path, stores=stores) as shop:
        first = await shop.add("guest-1", headers=key)
        assert first.status_code in {200, 201}
    redis_process.kill()
    redis_process.start()
    tables.catalog, tables.journals = MemoryTables().catalog, MemoryTables().journals  # its shelves are stocked anew
    async with stores_on(redis_process, tables) as stores, open_shop(tmp_path, stores=stores) as shop:
        assert await lines(shop, "guest-1") == {"LAPTOP-001": 1}
        again = await shop.add("guest-1", headers=key)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert await lines(shop, "guest-1") == {"LAPTOP-001": 1}


async def test_carts_are_unavailable_never_empty_while_redis_is_away_and_orders_go_on(
    shop: Shop, redis_process: RedisProcess
) -> None:
    await shop.add("guest-1")
    await shop.add("guest-2")
    account = await shop.account()
    redis_process.kill()
    for answer in (await shop.add("guest-1"), await shop.client.get("/api/v1/cart/guest-2")):
        if answer.status_code == 200:  # a read of a cart that is in memory
            assert [line["quantity"] for line in answer.json()["items"]] == [1]
        else:
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
    unseen = await shop.client.get("/api/v1/cart/guest-never-seen")
    assert unseen.status_code == 503, "nobody can say that it is empty"
    assert (await shop.buy(account))["status"] == "confirmed"
    from_cart = await shop.place("guest-2", paymentMethod=CARD)
    assert from_cart.status_code == 503, from_cart.text
    health = (await shop.client.get("/health")).json()
    assert health["status"] != "healthy"

    redis_process.start()

    async def works_again() -> bool:
        return (await shop.add("guest-1")).status_code in {200, 201}

    await eventually(works_again)
    assert (await lines(shop, "guest-1"))["LAPTOP-001"] >= 2
    assert await lines(shop, "guest-2") == {"LAPTOP-001": 1}


async def test_a_cart_that_redis_lost_begins_anew_and_is_counted(shop: Shop, redis_process: RedisProcess) -> None:
    await shop.add("guest-1", quantity=3)
    with redis_process.client() as client:
        client.delete("stampede:cart:guest-1")
    assert (await shop.add("guest-1")).status_code in {200, 201}
    assert await lines(shop, "guest-1") == {"LAPTOP-001": 1}, "the store wins"
    assert await in_redis(shop, "guest-1") == 1
    runtime = shop.host.runtime
    assert isinstance(runtime, HostRuntime)
    assert runtime.services.metrics.carts_reloaded == {("cart", "moved"): 1}


async def test_changes_at_once_are_all_kept(shop: Shop) -> None:
    answers: list[httpx.Response] = await asyncio.gather(*(shop.add("guest-1") for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert await lines(shop, "guest-1") == {"LAPTOP-001": 8}
    found: Any = await shop.stores.carts.load(["guest-1"])
    assert found["guest-1"].version == 8
