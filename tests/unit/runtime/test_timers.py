"""Due times: they ring once they have come, survive their host, and cost a row only when they come earlier."""

import asyncio

from actors.runtime.planted_bugs import PlantedBugs
from tests.unit.runtime.toys import Add, Get, RingAt
from tests.unit.runtime.world import EPOCH_MS, World, run


def rang(world: World) -> int:
    return [event.type for event in world.journal("orders")].count("AlarmRang")


def rows(world: World) -> dict[str, int | None]:
    return {key[2]: row.due_at_ms for key, row in world.tables.journals["orders"].timers.items()}


def test_an_entity_is_woken_when_its_time_has_surely_come() -> None:
    async def scenario() -> None:
        world = World()
        world.clock.skew_ms = 50
        await world.claim(0)
        await world.ask("tally", "a@0", RingAt(due_ms=EPOCH_MS + 5_000))
        assert rows(world) == {"a@0": EPOCH_MS + 5_000}
        await asyncio.sleep(4.9)
        assert rang(world) == 0
        await asyncio.sleep(0.5)
        assert rang(world) == 1
        assert rows(world) == {}, "nothing more is due"

    run(scenario)


def test_a_due_time_survives_its_host_and_wakes_an_entity_that_nobody_asks() -> None:
    async def scenario(planted: PlantedBugs, expected: int) -> None:
        world = World(planted)
        await world.claim(0)
        await world.ask("tally", "a@0", RingAt(due_ms=EPOCH_MS + 5_000))
        await world.takeover(0)
        await asyncio.sleep(6)
        assert rang(world) == expected

    run(lambda: scenario(PlantedBugs(), 1))
    run(lambda: scenario(PlantedBugs(timer_lost=True), 0))


def test_the_row_stands_until_what_was_due_is_done() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", RingAt(due_ms=EPOCH_MS + 1_000))
        held = world.faults.hold("orders.append")
        await asyncio.sleep(2)
        assert rows(world), "its saga is still at it"
        await world.takeover(0)
        held.set()
        await asyncio.sleep(1)
        assert rang(world) == 1
        assert rows(world) == {}

    run(scenario)


def test_a_row_is_written_only_when_the_time_comes_earlier() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        for due_s, expected_s in ((9, 9), (20, 9), (5, 5), (30, 5)):
            await world.ask("tally", "a@0", RingAt(due_ms=EPOCH_MS + due_s * 1_000))
            assert rows(world) == {"a@0": EPOCH_MS + expected_s * 1_000}
        await asyncio.sleep(6)
        assert rang(world) == 1, "the earliest was a hint, and waking on it did what was to be done"

    run(scenario)


def test_what_is_not_committed_does_not_ring() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        held = world.faults.hold("orders.append")
        set_ = world.send("tally", "a@0", RingAt(due_ms=EPOCH_MS + 100))
        await asyncio.sleep(1)
        assert world.host.describe().timers == 0
        held.set()
        await set_
        await asyncio.sleep(0.5)
        assert rang(world) == 1

    run(scenario)


def test_a_passive_entity_rings_too() -> None:
    async def scenario() -> None:
        world = World(passivate_idle_ms=1_000, passivate_sweep_ms=1_000)
        await world.claim(0)
        await world.ask("stock", "a@0", RingAt(due_ms=EPOCH_MS + 60_000))
        await world.ask("stock", "b@0", Add(n=1))
        await asyncio.sleep(10)
        assert world.host.describe().entities == 0
        await asyncio.sleep(51)
        assert [event.type for event in world.journal("inventory")].count("AlarmRang") == 1

    run(scenario)


def test_a_crowd_whose_time_has_come_is_woken_in_bounded_portions() -> None:
    async def scenario() -> None:
        world = World(wakes_per_round_max=10, sagas_background_max=4)
        for shard in range(3):
            await world.claim(shard)
        ids = [f"k{n}@{n % 3}" for n in range(60)]
        await asyncio.gather(*(world.ask("tally", id_, RingAt(due_ms=EPOCH_MS + 1_000)) for id_ in ids))
        held = world.faults.hold("orders.append")
        await asyncio.sleep(2)
        described = world.host.describe()
        assert described.sagas_running + described.sagas_queued <= 20, "the store is away: nobody else is woken"
        held.set()
        await asyncio.sleep(3)
        assert sum([event.type for event in world.journal("orders", n)].count("AlarmRang") for n in range(3)) == 60

    run(scenario)
