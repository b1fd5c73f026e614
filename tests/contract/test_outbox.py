"""Outboxes: taken in order, by one taker each, until done."""

import asyncio

from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import cart_write, event


async def fill(stores: Stores, count: int = 6) -> None:
    for n in range(1, count + 1):
        await stores.carts.save([cart_write(f"c{n}", events=[event("c", n)])])


async def test_rows_are_taken_in_order_and_once(stores: Stores) -> None:
    await fill(stores)
    outbox = stores.outboxes["carts"]
    first = await outbox.take(2)
    assert [(row.topic, row.event) for row in first] == [("cart-events", event("c", 1)), ("cart-events", event("c", 2))]
    assert [row.event.version for row in await outbox.take(10)] == [3, 4, 5, 6]
    assert await outbox.take(10) == []


async def test_concurrent_takers_share_the_rows_out(stores: Stores) -> None:
    await fill(stores)
    outbox = stores.outboxes["carts"]
    shares = await asyncio.gather(*(outbox.take(2) for _ in range(3)))
    versions = [row.event.version for share in shares for row in share]
    assert len(versions) == len(set(versions))


async def test_what_is_done_is_gone(stores: Stores) -> None:
    await fill(stores, 2)
    outbox = stores.outboxes["carts"]
    rows = await outbox.take(10)
    await outbox.done([row.id for row in rows])
    await outbox.done([])
    assert await outbox.take(10) == []


async def test_rows_that_were_taken_and_never_done_come_again() -> None:
    now_ms = 0
    stores = open_memory_stores(lambda: now_ms)
    await fill(stores, 2)
    outbox = stores.outboxes["carts"]
    taken = await outbox.take(10)
    await outbox.done([taken[0].id])
    now_ms = 29_999
    assert await outbox.take(10) == []
    now_ms = 30_000
    assert [row.event.version for row in await outbox.take(10)] == [2]
