"""The low-water mark holds what a new owner would have to find, and lets go of the rest."""

import asyncio
from itertools import count

import pytest

from actors.runtime.entity import Entity
from actors.runtime.shard import Shard
from tests.unit.runtime.toys import TOLD_AGAIN, Add, Get, Work
from tests.unit.runtime.world import World, run


def test_what_a_recovery_found_unsettled_is_held_until_its_saga_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    activated = Shard.activated

    def watched(shard: Shard, entity: Entity) -> None:
        activated(shard, entity)
        if entity.key == ("tally", "a@0"):
            held.append(entity.key in shard.journals["orders"].low_water)

    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.claim(9)
        told = world.faults.hold("inventory.append")
        block = world.send("stock", "told@9", Add(n=1))  # what is asked of it waits for this commit
        work = world.send("tally", "a@0", Work(n=TOLD_AGAIN))
        await asyncio.sleep(0.1)
        assert [event.type for event in world.journal("orders")] == ["Opened", "Closed"]
        monkeypatch.setattr(Shard, "activated", watched)
        await world.takeover(0)
        await asyncio.sleep(0.1)
        assert held == [True], "an append of just then would have passed it"
        told.set()
        await asyncio.sleep(0.1)
        await world.ask("tally", "b@0", Add(n=1))
        assert world.low_water("orders") == 4, "its saga is over"
        await block
        work.cancel()

    run(scenario)


@pytest.mark.parametrize("writes", range(9))
def test_a_saga_that_ends_while_a_later_write_is_under_way_does_not_hold_the_mark_for_ever(writes: int) -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        adds = count()

        def another() -> None:
            if next(adds) < writes:
                world.send("tally", "a@0", Add(n=1))

        world.faults.meanwhile["orders.append"] = another
        await world.ask("tally", "a@0", Work(n=1))
        await asyncio.sleep(1)
        world.faults.meanwhile.clear()
        await world.ask("tally", "b@0", Add(n=1))
        assert world.low_water("orders") == len(world.journal("orders")) + 1

    run(scenario)
