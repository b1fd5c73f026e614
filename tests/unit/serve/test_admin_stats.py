"""The figures are read at a pace that their cost allows."""

import asyncio
from typing import Any

from persistence.errors import StoreUnavailable
from serve.admin_stats import DAY_MS, HOUR_MS, ShopStats, day_start_ms
from serve.paced_read import PacedRead
from tests.contract.builders import batch, order, payment
from tests.http_app import FakeClock, World


async def test_a_value_is_read_once_for_all_and_kept() -> None:
    clock = FakeClock()
    reads = 0

    async def load() -> int:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return reads

    value = PacedRead(load, max_age_ms=1_000, now_ms=clock.now_ms)
    assert await asyncio.gather(value.get(), value.get()) == [1, 1]
    clock.advance(1_000)
    assert await value.get() == 1
    clock.advance(1)
    assert await value.get() == 2


async def test_a_value_that_took_long_is_kept_long() -> None:
    clock = FakeClock()

    async def load() -> int:
        clock.advance(500)
        return clock.now_ms()

    value = PacedRead(load, max_age_ms=1_000, now_ms=clock.now_ms)
    first = await value.get()
    clock.advance(10_000)
    assert await value.get() == first
    clock.advance(1)
    assert await value.get() != first


async def test_an_error_is_not_kept_and_reaches_all_who_wait() -> None:
    fails = True

    async def load() -> int:
        await asyncio.sleep(0)
        if fails:
            raise StoreUnavailable("gone")
        return 1

    value = PacedRead(load, max_age_ms=1_000, now_ms=FakeClock().now_ms)
    waited = await asyncio.gather(value.get(), value.get(), return_exceptions=True)
    assert [type(error) for error in waited] == [StoreUnavailable, StoreUnavailable]
    fails = False
    assert await value.get() == 1


async def test_one_who_gives_up_does_not_end_the_read() -> None:
    go = asyncio.Event()

    async def load() -> int:
        await go.wait()
        return 1

    value = PacedRead(load, max_age_ms=1_000, now_ms=FakeClock().now_ms)
    impatient = asyncio.create_task(value.get())
    patient = asyncio.create_task(value.get())
    await asyncio.sleep(0)
    impatient.cancel()
    go.set()
    assert await patient == 1


async def test_days_that_are_not_read_in_time_are_none_and_there_the_next_time(world: World) -> None:
    await world.stores.journals["orders"].fence(1, 1)
    await world.stores.journals["payments"].fence(1, 1)
    yesterday = day_start_ms(world.clock.now_ms()) - DAY_MS
    paid = payment(captured_minor=500)
    await world.stores.journals["orders"].append([batch(views=[order(created_at_ms=yesterday, status="confirmed")])])
    await world.stores.journals["payments"].append([batch(views=[paid])])
    go = asyncio.Event()
    original = world.stores.orders.totals

    async def slow(from_ms: int, to_ms: int) -> Any:
        if to_ms <= yesterday + DAY_MS:
            await go.wait()
        return await original(from_ms, to_ms)

    class SlowOrders:
        totals = staticmethod(slow)

    stores = world.stores
    object.__setattr__(stores, "orders", SlowOrders())
    stats = ShopStats(stores, world.clock, low_stock_max=5)
    first = await stats.read(2, wait_ms=10)
    assert first.days[yesterday] is None
    assert first.today.orders == 0
    go.set()
    second = await stats.read(2, wait_ms=5_000)
    day = second.days[yesterday]
    assert day is not None
    assert (day.orders, day.average_order_minor) == (1, 129_999)


async def test_today_does_not_wait_for_the_days_before_it(world: World) -> None:
    today, original = day_start_ms(world.clock.now_ms()), world.stores.orders.totals

    async def stuck(from_ms: int, to_ms: int) -> Any:
        if to_ms <= today:
            await asyncio.Event().wait()
        return await original(from_ms, to_ms)

    class StuckOrders:
        totals = staticmethod(stuck)

    object.__setattr__(world.stores, "orders", StuckOrders())
    stats = ShopStats(world.stores, world.clock, low_stock_max=5)
    await stats.read(7, wait_ms=10)
    world.clock.advance(10_000)  # today is to be read anew
    async with asyncio.timeout(5):
        again = await stats.read(7, wait_ms=10)
    assert [day is None for day in again.days.values()] == [True] * 6 + [False]


async def test_midnight_begins_a_new_day(world: World) -> None:
    await world.stores.journals["orders"].fence(1, 1)
    await world.stores.journals["orders"].append([batch(views=[order(created_at_ms=world.clock.now_ms())])])
    stats = ShopStats(world.stores, world.clock, low_stock_max=5)
    assert (await stats.read(1, wait_ms=1)).today.orders == 1
    world.clock.advance(DAY_MS)
    later = await stats.read(2, wait_ms=1_000)
    assert later.today.orders == 0
    assert [None if day is None else day.orders for day in later.days.values()] == [1, 0]


async def test_a_day_that_is_too_much_for_one_statement_is_read_by_the_hour(world: World) -> None:
    now_ms = world.clock.now_ms()
    today_ms = day_start_ms(now_ms)
    rows = [order(f"ord_{n}", created_at_ms=today_ms + n * HOUR_MS, total_minor=100) for n in range(3)]
    await world.stores.journals["orders"].fence(1, 1)
    await world.stores.journals["orders"].append([batch(views=rows)])
    original = world.stores.orders.totals

    async def impatient(from_ms: int, to_ms: int) -> Any:
        if to_ms - from_ms > HOUR_MS:
            raise StoreUnavailable("the statement was cancelled")
        return await original(from_ms, to_ms)

    class ImpatientOrders:
        totals = staticmethod(impatient)

    object.__setattr__(world.stores, "orders", ImpatientOrders())
    figures = await ShopStats(world.stores, world.clock, low_stock_max=5).read(1, wait_ms=1)
    assert figures.today.orders == 3
    assert figures.today.by_status["pending"].total_minor == 300
