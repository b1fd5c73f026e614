"""Whatever the store does: what was acknowledged is in the journal once, what surely failed is not in it at all."""

import asyncio
from random import Random
from typing import Any

import pytest

from actors.runtime.planted_bugs import NO_BUGS, PlantedBugs
from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.records import JOURNAL_SERVICES, JournalService, OrderRow
from tests.unit.runtime.toys import STOCK, Add, Get, RingAt, Total, Work, apply
from tests.unit.runtime.toys import TALLY as ANY_TYPE
from tests.unit.runtime.world import EPOCH_MS, World, decoded, run

SERVICE_OF: dict[str, JournalService] = {"tally": "orders", "stock": "inventory", "purse": "payments"}
DEFINITE = {"unavailable", "not-mine", "overloaded", "deadline-exceeded", "lease-lost"}
KEYS = [f"{key}@{shard}" for key in "abc" for shard in range(3)]


async def _client(world: World, random: Random, told: dict[str, Any]) -> None:
    await asyncio.sleep(random.random() * 3)
    type_, key = random.choice(sorted(SERVICE_OF)), random.choice(KEYS)
    envelope = world.envelope(type_, key, Add(n=random.choice((1, 1, 1, 2, -1_000)), events=random.randint(1, 3)))
    told[envelope.command_id] = decoded(await world.host_of(key).deliver(envelope))


async def _worker(world: World, random: Random) -> None:
    await asyncio.sleep(random.random() * 2)
    key = random.choice(KEYS)
    if random.random() < 0.5:
        await world.ask("tally", key, Work(n=random.randint(1, 3), other=random.choice(KEYS)))
    else:
        await world.ask("stock", key, RingAt(due_ms=EPOCH_MS + random.randint(0, 4_000)))


async def _misfortune(world: World, random: Random) -> None:
    faults = world.faults
    while asyncio.get_running_loop().time() < 3:
        await asyncio.sleep(random.random() * 0.2)
        name = f"{random.choice(JOURNAL_SERVICES)}.append"
        match random.randrange(5):
            case 0:
                faults.before.setdefault(name, []).append(OutcomeUnknown("never written"))
            case 1:
                faults.after.setdefault(name, []).append(OutcomeUnknown("written"))
            case 2:
                faults.before.setdefault(name, []).extend([StoreUnavailable("down")] * random.choice((2, 60)))
            case 3:
                await world.takeover(random.randrange(3))
            case _:
                for host in world.hosts:
                    host.stop(random.randrange(3))


async def _owner(world: World) -> None:
    """Claims again whatever was lost or stopped, a little later."""
    while True:
        await asyncio.sleep(0.1)
        for shard in range(3):
            if shard not in world.host_of(f"@{shard}").describe().shards:
                await world.claim(shard, world.host_of(f"@{shard}"))


def _folded(world: World, service: JournalService) -> dict[str, Any]:
    states: dict[str, Any] = {}
    for shard in range(3):
        for event in world.journal(service, shard):
            state = states.get(event.entity_id) or ANY_TYPE.initial(event.entity_id)
            assert event.version == state.version + 1, "no gap, no duplicate"
            decoded_event = ANY_TYPE.events.decode(event.type, event.schema_version, event.body)
            states[event.entity_id] = apply(state, decoded_event)
    return states


def _play(seed: int, planted: PlantedBugs = NO_BUGS) -> None:
    async def scenario() -> None:
        random = Random(seed)
        world = World(
            planted, snapshot_every_events=20, passivate_idle_ms=500, passivate_sweep_ms=500, saga_retry_max_ms=2_000
        )
        for shard in range(3):
            await world.claim(shard)
        owner = asyncio.create_task(_owner(world))
        told: dict[str, Any] = {}
        clients = [_client(world, random, told) for _ in range(300)]
        await asyncio.gather(_misfortune(world, random), *clients, *(_worker(world, random) for _ in range(30)))
        world.faults.before.clear()
        world.faults.after.clear()
        await asyncio.sleep(30)
        owner.cancel()

        written = [event.command_id for s in JOURNAL_SERVICES for n in range(3) for event in world.journal(s, n)]
        for command, answer in told.items():
            if isinstance(answer, Total):
                assert command in written, f"{command} was acknowledged"
            elif answer in DEFINITE:
                assert command not in written, f"{command} surely failed ({answer})"
        for type_, service in SERVICE_OF.items():
            for key, state in _folded(world, service).items():
                assert state.working == 0, f"{key} was left unfinished"
                assert state.due_ms is None, f"{key} did not ring"
                assert await world.ask(type_, key, Get()) == Total(total=state.total, version=state.version)
                row = world.view(service, key if service != "payments" else f"pay_{key}")
                assert row is not None
                assert row.version == state.version
                if isinstance(row, OrderRow):
                    assert ANY_TYPE.decode_state(row.state) == state
        for key, snapshot in world.tables.journals["inventory"].snapshots.items():
            prefix = [e for e in world.journal("inventory", key[0]) if e.entity_id == key[2] and e.seq <= snapshot.seq]
            assert STOCK.decode_state(snapshot.state).version == len(prefix) == snapshot.version
        for host in world.hosts:
            assert host.describe().commands == 0
            await host.close()

    run(scenario)


@pytest.mark.parametrize("seed", range(25))
def test_acknowledged_is_durable_and_refused_is_not(seed: int) -> None:
    _play(seed)


@pytest.mark.parametrize("bug", ["answer_before_commit", "timer_lost", "low_water_too_far", "snapshot_uncommitted"])
def test_a_planted_bug_is_found(bug: str) -> None:
    for seed in range(25):
        try:
            _play(seed, PlantedBugs(**{bug: True}))
        except AssertionError:
            return
    pytest.fail("the check above is blind to it")
