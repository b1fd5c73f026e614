"""Two processes of consumers at once: the older is refused, notices it, and stops."""

import asyncio
from collections.abc import Sequence

import structlog

from persistence.records import NewEvent
from tests.unit.actors.consumer_world import SETTINGS, Recorder, World, virtually


@virtually
async def test_the_older_of_two_is_fenced_and_stops_everything_when_it_is_not_the_one_any_more() -> None:
    world, old, new = World(), Recorder(name="follower"), Recorder(name="follower")
    busy_beside = Recorder(name="beside", journals=(), outboxes=("carts",))
    loop = asyncio.get_running_loop()
    go_on: asyncio.Future[None] = loop.create_future()
    held = asyncio.Event()

    def hold(_: Sequence[NewEvent]) -> "asyncio.Future[None]":
        held.set()
        return go_on

    async def not_standing() -> bool:
        return not go_on.done()

    old.before = hold
    await world.append(1, 12)
    with structlog.testing.capture_logs() as logs:
        async with world.feeding(
            old, busy_beside, is_standing=not_standing, standing_check_interval_ms=10**9
        ) as zombie:
            await held.wait()
            async with world.feeding(new):
                await new.has(12)
                await asyncio.sleep(1)
                go_on.set_result(None)
                await zombie
                await world.put_out("c1")
                await asyncio.sleep(5)
    assert [line["consumer"] for line in logs if line["event"] == "consumer.fenced"] == ["follower"]
    assert "consumers.replaced" in [line["event"] for line in logs]
    assert old.versions("ord_1") == list(range(1, 11)), "it took nothing after the batch it had in hand"
    assert new.versions("ord_1") == list(range(1, 13))
    assert busy_beside.events == []


@virtually
async def test_a_process_that_was_fenced_and_is_still_the_one_takes_its_place_back() -> None:
    world, consumer = World(), Recorder()
    await world.append(1, 2)
    async with world.feeding(consumer):
        await consumer.has(2)
        await asyncio.sleep(1)
        await world.stores.cursors["orders"].take("recorder")
        await world.append(1, 2)
        await consumer.has(6)
        await asyncio.sleep(1)
    assert consumer.versions("ord_1") == [1, 2, 3, 4, 3, 4]
    assert await world.stores.cursors["orders"].positions("recorder") == {1: 4}


@virtually
async def test_a_zombie_with_nothing_to_do_stops_as_well() -> None:
    world, standing = World(), [True]

    async def is_standing() -> bool:
        return standing[0]

    async with world.feeding(Recorder(), is_standing=is_standing) as zombie:
        await asyncio.sleep(10)
        assert not zombie.done()
        standing[0] = False
        began_s = asyncio.get_running_loop().time()
        await zombie
        assert asyncio.get_running_loop().time() - began_s <= SETTINGS.standing_check_interval_ms / 1e3


@virtually
async def test_a_cluster_that_cannot_say_who_stands_is_asked_again() -> None:
    world, consumer, answers = World(), Recorder(), [True, False]
    asked = 0

    async def is_standing() -> bool:
        nonlocal asked
        asked += 1
        if asked % 2:
            raise ConnectionError
        return answers.pop(0)

    await world.append(1, 2)
    with structlog.testing.capture_logs() as logs:
        async with world.feeding(consumer, is_standing=is_standing) as process:
            await consumer.has(2)
            await process
    assert asked == 4
    assert {line["part"] for line in logs if line["event"] == "consumers.part_failed"} == {"watch of standing"}
