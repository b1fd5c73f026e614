"""What left memory comes back as it was: passivation, snapshots, tails, drains."""

import asyncio

import pytest

from actors.runtime import snapshots
from actors.runtime.planted_bugs import PlantedBugs
from persistence.errors import StoreUnavailable
from tests.unit.runtime.toys import Add, Get, Total, WaitFor
from tests.unit.runtime.world import World, decoded, run

TYPES = ["tally", "purse", "stock", "note"]


@pytest.mark.parametrize("type_", TYPES)
def test_an_idle_entity_leaves_memory_and_comes_back_as_it_was(type_: str) -> None:
    async def scenario() -> None:
        world = World(passivate_idle_ms=5_000, passivate_sweep_ms=1_000)
        await world.claim(0)
        for n in range(5):
            await world.ask(type_, "a@0", Add(n=n))
        await asyncio.sleep(4)
        assert world.host.describe().entities == 1
        await asyncio.sleep(3)
        assert world.host.describe().entities == 0
        assert await world.ask(type_, "a@0", Add(n=1)) == Total(total=11, version=6)

    run(scenario)


@pytest.mark.parametrize("type_", TYPES)
def test_the_next_owner_has_the_state_that_was_live(type_: str) -> None:
    async def scenario() -> None:
        world = World(snapshot_every_events=25)
        await world.claim(0)
        live = {}
        for n in range(60):
            live[f"k{n % 7}@0"] = await world.ask(type_, f"k{n % 7}@0", Add(n=n))
        await world.takeover(0)
        for key, state in live.items():
            assert await world.ask(type_, key, Get()) == state

    run(scenario)


def test_a_waiting_entity_stays() -> None:
    async def scenario() -> None:
        world = World(passivate_idle_ms=1_000, passivate_sweep_ms=500)
        await world.claim(0)
        waiting = world.send("tally", "a@0", WaitFor(total=1), timeout_ms=9_000)
        await asyncio.sleep(5)
        assert world.host.describe().entities == 1
        await world.ask("tally", "a@0", Add(n=1))
        assert decoded(await waiting) == Total(total=1, version=1)

    run(scenario)


def test_a_sku_stays_in_memory_while_its_snapshot_cannot_be_written() -> None:
    async def scenario() -> None:
        world = World(passivate_idle_ms=1_000, passivate_sweep_ms=500)
        await world.claim(0)
        await world.ask("stock", "a@0", Add(n=1))
        world.faults.before["inventory.save_snapshots"] = [StoreUnavailable("down")] * 1_000
        await asyncio.sleep(5)
        assert world.host.describe().entities == 1
        world.faults.before.clear()
        await asyncio.sleep(5)
        assert world.host.describe().entities == 0

    run(scenario)


def test_a_shard_that_advanced_enough_snapshots_what_changed_and_moves_its_mark() -> None:
    async def scenario() -> None:
        world = World(snapshot_every_events=50)
        await world.claim(0)
        for n in range(49):
            await world.ask("stock", f"k{n % 5}@0", Add(n=1))
        await asyncio.sleep(1)
        assert world.tables.journals["inventory"].snapshots == {}
        await world.ask("stock", "k0@0", Add(n=1))
        await asyncio.sleep(1)
        assert len(world.tables.journals["inventory"].snapshots) == 5
        await world.ask("stock", "k0@0", Add(n=1))
        assert world.low_water("inventory") == 51

    run(scenario)


def test_large_snapshots_are_made_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES_AN_EVENT", 1)

    async def scenario() -> None:
        world = World(snapshot_every_events=10)
        await world.claim(0)

        async def taken_after(events: int) -> int:
            for _ in range(events):
                await world.ask("stock", "a@0", Add(n=1))
            await asyncio.sleep(1)
            return world.tables.journals["inventory"].snapshots[0, "stock", "a@0"].version

        assert await taken_after(10) == 10
        size = len(world.tables.journals["inventory"].snapshots[0, "stock", "a@0"].state)
        assert size > 20
        assert await taken_after(size - 1) == 10
        assert await taken_after(1) == 10 + size

    run(scenario)


def test_what_recovery_found_in_the_tail_is_snapshotted_though_nobody_asks_for_it() -> None:
    async def scenario() -> None:
        world = World(snapshot_every_events=20)
        await world.claim(0)
        for n in range(15):
            await world.ask("stock", f"k{n}@0", Add(n=1))
        await world.takeover(0)
        for _ in range(5):
            await world.ask("stock", "k0@0", Add(n=1))
        await asyncio.sleep(1)
        assert len(world.tables.journals["inventory"].snapshots) == 15

    run(scenario)


def test_a_snapshot_holds_only_what_is_durable() -> None:
    async def scenario(planted: PlantedBugs, expected: set[int]) -> None:
        world = World(planted, snapshot_every_events=10)
        await world.claim(0)
        for _ in range(9):
            await world.ask("stock", "a@0", Add(n=1))
        await world.ask("stock", "b@0", Add(n=1))
        held = world.faults.hold("inventory.append")
        pending = world.send("stock", "a@0", Add(n=1))
        await asyncio.sleep(1)
        taken = {row.version for key, row in world.tables.journals["inventory"].snapshots.items() if key[2] == "a@0"}
        assert taken == expected
        held.set()
        await pending

    run(lambda: scenario(PlantedBugs(), set()))
    run(lambda: scenario(PlantedBugs(snapshot_uncommitted=True), {10}))


def test_an_event_written_while_its_snapshot_is_being_saved_keeps_the_journal_needed() -> None:
    async def scenario() -> None:
        world = World(snapshot_every_events=5)
        await world.claim(0)
        held = world.faults.hold("inventory.save_snapshots")
        for _ in range(5):
            await world.ask("stock", "a@0", Add(n=1))
        await asyncio.sleep(0.2)
        await world.ask("stock", "a@0", Add(n=1))
        held.set()
        await asyncio.sleep(0.1)
        await world.ask("stock", "b@0", Add(n=1))
        assert world.low_water("inventory") == 6
        await world.takeover(0)
        assert await world.ask("stock", "a@0", Get()) == Total(total=6, version=6)

    run(scenario)


def test_a_drained_shard_leaves_nothing_to_recover() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("stock", "a@0", Add(n=2))
        last = world.send("tally", "a@0", Add(n=1))
        draining = asyncio.ensure_future(world.host.drain(0))
        await asyncio.sleep(0)
        assert await world.ask("tally", "b@0", Add(n=1)) == "not-mine"
        assert decoded(await last) == Total(total=1, version=1)
        await draining
        world.host.stop(0)
        assert len(world.tables.journals["inventory"].snapshots) == 1
        world.faults.calls.clear()
        await world.takeover(0)
        assert await world.ask("stock", "a@0", Get()) == Total(total=2, version=1)

    run(scenario)


def test_a_store_that_is_away_when_an_entity_wakes_fails_its_commands_for_sure() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        world.faults.before["orders.load"] = [StoreUnavailable("down")] * 100
        assert await world.ask("tally", "a@0", Add(n=1)) == "unavailable"
        world.faults.before.clear()
        assert await world.ask("tally", "a@0", Add(n=1)) == Total(total=1, version=1)

    run(scenario)


def test_recovery_insists() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("stock", "a@0", Add(n=1))
        world.faults.before["inventory.read"] = [StoreUnavailable("down")] * 10
        await world.takeover(0)
        assert await world.ask("stock", "a@0", Get()) == Total(total=1, version=1)

    run(scenario)
