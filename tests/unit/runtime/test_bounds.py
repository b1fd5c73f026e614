"""The small machines: permits, the wheel of deadlines, the low-water mark, timers."""

import asyncio
from random import Random
from typing import Any

from actors.runtime.deadlines import DeadlineWheel
from actors.runtime.delivery import Delivery
from actors.runtime.low_water import LowWater
from actors.runtime.permits import Permits
from actors.runtime.timers import ShardTimers
from persistence.records import TimerRow
from tests.simulation.virtual_loop import run_virtual


class Owner:
    def released(self, delivery: Delivery) -> None:
        """Nothing to free."""


def delivery(future: "asyncio.Future[Any]") -> Delivery:
    nothing: Any = None
    return Delivery(Owner(), nothing, nothing, nothing, future, local=True)


def test_permits_are_never_more_than_their_count_and_none_is_lost() -> None:
    async def scenario() -> None:
        permits, held, most = Permits(10), 0, 0

        async def use(wanted: int) -> None:
            nonlocal held, most
            taken = await permits.take(wanted)
            assert 1 <= taken <= wanted
            held += taken
            most = max(most, held)
            await asyncio.sleep(0.01)
            held -= taken
            permits.give(taken)

        random = Random(1)
        users = [asyncio.create_task(use(random.randint(1, 12))) for _ in range(100)]
        await asyncio.sleep(0.02)
        for user in random.sample(users, 20):
            user.cancel()
        done = await asyncio.gather(*users, return_exceptions=True)
        cancelled_while_holding = held
        assert most <= 10
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in done)
        permits.give(cancelled_while_holding)
        assert await permits.take(10) == 10

    run_virtual(scenario())


def test_the_wheel_gives_each_delivery_once_when_its_bucket_is_reached() -> None:
    async def scenario() -> None:
        wheel = DeadlineWheel(100)
        future = asyncio.get_running_loop().create_future()
        early, late, answered = (delivery(future) for _ in range(3))
        wheel.add(early, 1_050)
        wheel.add(late, 1_950)
        wheel.add(answered, 1_050)
        wheel.remove(answered)
        assert wheel.due(999) == []
        assert wheel.due(1_050) == [early]
        assert wheel.due(5_000) == [late]
        assert wheel.due(9_000) == []
        wheel.add(late, 9_500)
        wheel.add(late, 12_000)
        assert wheel.due(10_000) == []

    run_virtual(scenario())


def test_the_low_water_mark_is_the_least_mark_that_a_batch_leaves() -> None:
    low = LowWater(floor=3)
    assert low.lowest(11) == 3
    low.floor = None
    assert low.lowest(11) == 11
    low.mark(("t", "b"), 8)
    low.mark(("t", "c"), 9)
    low.mark(("t", "a"), 5)  # found late by a recovery
    assert low.lowest(11) == 5
    assert low.lowest(11, released={("t", "a")}) == 8
    assert low.lowest(14, released={("t", "a"), ("t", "b"), ("t", "c")}, first_added=12) == 12
    low.mark(("t", "a"), 10)
    assert low.of(("t", "a")) == 5, "an earlier mark stays"
    low.move(("t", "a"), 10)
    low.release(("t", "b"))
    assert low.lowest(11) == 9


def test_a_timer_rings_once_at_its_earliest_time() -> None:
    timers = ShardTimers()
    timers.recovered([TimerRow(entity_type="t", entity_id="a", due_at_ms=50)])
    timers.arm(("t", "a"), 90)
    timers.arm(("t", "a"), 20)
    timers.arm(("t", "b"), 30)
    assert timers.ring(19, 10) == []
    assert timers.ring(40, 1) == [("t", "a")]
    assert timers.ring(100, 10) == [("t", "b")]
    assert timers.ring(100, 10) == []


def test_a_row_is_written_when_it_says_something_new() -> None:
    timers, key = ShardTimers(), ("t", "a")
    first = timers.row_for(key, 50)
    assert first is not None
    assert first.due_at_ms == 50
    assert timers.row_for(key, 60) is None
    assert timers.row_for(key, 40) is not None
    assert timers.row_after_wake(key, 40) is None
    gone = timers.row_after_wake(key, None)
    assert gone is not None
    assert gone.due_at_ms is None
    assert timers.row_after_wake(key, None) is None
