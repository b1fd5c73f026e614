"""Hosts come, go, freeze and die; no command is lost, none runs twice, and no zombie answers."""

import asyncio
from random import Random

import pytest

from cluster.errors import ClusterError, DeadlineExceeded, LeaseLost, OutcomeUnknown
from cluster.hashing import shard_of
from cluster.settings import ClusterSettings
from persistence.errors import OutcomeUnknown as StoreOutcomeUnknown
from persistence.errors import StoreUnavailable
from tests.simulation.virtual_loop import run_virtual
from tests.unit.cluster.world import World


def test_a_single_host_owns_every_shard_and_answers() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        assert [await world.inc("a"), await world.inc("a"), await world.inc("b")] == [1, 2, 1]

    run_virtual(scenario())


def test_a_second_host_gets_its_share_and_no_message_is_lost_on_the_way() -> None:
    async def scenario() -> None:
        world = World(think_s=0.005)
        await world.start(1)
        await world.settled()
        answers = [asyncio.create_task(world.inc(f"k{n % 40}", f"c{n}")) for n in range(40)]

        async def traffic() -> None:
            for n in range(40, 1_000):
                answers.append(asyncio.create_task(world.inc(f"k{n % 40}", f"c{n}")))
                await asyncio.sleep(0.005)

        load = asyncio.create_task(traffic())
        await world.start_host("h1")
        await load
        await asyncio.gather(*answers)
        await world.settled()
        shares = [hosts[0] for hosts in world.served().values()]
        assert 2 <= shares.count("h1") <= 14
        assert sorted(world.journaled()) == sorted(f"c{n}" for n in range(1_000))
        assert world.members["h0"].runtime.drained, "shards moved in order"
        assert sum(member.runtime.fenced for member in world.members.values()) == 0

    run_virtual(scenario())


def test_a_killed_hosts_shards_are_taken_over_when_its_lease_has_run_out() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(2)
        await asyncio.sleep(10)
        await world.settled()
        await world.kill("h1")
        assert await world.settled() < 9
        assert {hosts[0] for hosts in world.served().values()} == {"h0"}

    run_virtual(scenario())


def test_a_reported_exit_is_taken_over_within_a_second() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(2)
        await asyncio.sleep(10)
        row = world.row("h1")
        await world.kill("h1")
        assert await world.members["h0"].host.membership.report_exit(row.host, row.incarnation)
        assert await world.settled() < 1

    run_virtual(scenario())


def test_an_unanswered_envelope_is_resent_unchanged_to_the_next_owner() -> None:
    async def scenario() -> None:
        world = World(think_s=0.5)
        await world.start(2)
        await asyncio.sleep(10)
        key = next(f"k{n}" for n in range(99) if world.served()[shard_of(f"k{n}", 16)] == ["h1"])
        asked = asyncio.create_task(world.inc(key, "the-command", timeout_ms=9_900))
        await asyncio.sleep(0.2)
        dead = await world.kill("h1")
        assert await asked == 1
        first, last = dead.runtime.delivered[-1], world.members["h0"].runtime.delivered[-1]
        assert first == last
        assert world.journaled() == ["the-command"]

    run_virtual(scenario())


def test_a_command_that_was_committed_before_the_crash_is_not_run_again() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(2)
        await asyncio.sleep(10)
        key = next(f"k{n}" for n in range(99) if world.served()[shard_of(f"k{n}", 16)] == ["h1"])
        world.network.faults.delay_min_ms = world.network.faults.delay_max_ms = 300
        asked = asyncio.create_task(world.inc(key, "once", timeout_ms=9_900))
        await asyncio.sleep(0.4)  # it arrived and was journaled; the reply is on its way
        assert world.journaled() == ["once"]
        await world.kill("h1")
        assert await asked == 1
        assert world.journaled() == ["once"]

    run_virtual(scenario())


async def _zombie_read(world: World) -> object:
    """A partitioned host keeps a client of its own on the same side: does it answer from memory after a takeover?"""
    await world.start(2)
    await asyncio.sleep(10)
    key = next(f"k{n}" for n in range(99) if world.served()[shard_of(f"k{n}", 16)] == ["h1"])
    await world.inc(key, "before")
    zombie = world.members["h1"]
    world.partition("h1")
    await world.inc(key, "after", timeout_ms=9_900)
    assert sorted(world.served()[shard_of(key, 16)]) == ["h0", "h1"], "the zombie still believes"
    ref = world.counter(key)
    return await zombie.runtime.deliver(ref.envelope(b"get"))


def test_a_zombie_does_not_answer_from_memory() -> None:
    async def scenario() -> None:
        with pytest.raises(LeaseLost):
            await _zombie_read(World())

    run_virtual(scenario())


def test_a_zombies_append_writes_nothing_and_it_comes_back_as_a_new_incarnation() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(2)
        await asyncio.sleep(10)
        key = next(f"k{n}" for n in range(99) if world.served()[shard_of(f"k{n}", 16)] == ["h1"])
        zombie = world.members["h1"]
        old = zombie.host.membership.incarnation
        world.partition("h1")
        straggler = world.counter(key).envelope(b"inc", command_id="straggler", timeout_ms=9_900)
        doomed = asyncio.ensure_future(zombie.runtime.deliver(straggler))  # its append waits for the store
        assert await world.inc(key, "by-the-new-owner", timeout_ms=9_900) == 1
        world.heal("h1")
        with pytest.raises(OutcomeUnknown):
            await doomed
        assert world.journaled() == ["by-the-new-owner"]
        await asyncio.sleep(5)
        assert zombie.host.membership.incarnation not in ("", old)
        await world.settled()

    run_virtual(scenario())


def test_nobody_is_buried_for_an_outage_of_the_store() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(3)
        await asyncio.sleep(10)
        incarnations = sorted(world.tables.cluster.hosts)
        for member in world.members.values():
            member.seams.before = _unavailable
        await asyncio.sleep(10)
        with pytest.raises(ClusterError):
            await world.inc("k", timeout_ms=2_000)
        for member in world.members.values():
            member.seams.before = None
            await asyncio.sleep(0.3)
        await asyncio.sleep(10)
        assert sorted(world.tables.cluster.hosts) == incarnations
        assert await world.inc("k") == 1

    run_virtual(scenario())


async def _unavailable(_call: str) -> None:
    raise StoreUnavailable("down")


def test_an_orderly_stop_hands_everything_on_before_it_leaves() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(2)
        await asyncio.sleep(10)
        await world.settled()
        mine = [shard for shard, hosts in world.served().items() if hosts == ["h1"]]
        leaving = world.members["h1"]
        await world.stop("h1")
        assert sorted(leaving.runtime.drained) == mine
        assert await world.settled() < 1
        assert [row.host for row in world.tables.cluster.hosts.values()] == ["h0"]

    run_virtual(scenario())


def test_the_last_host_flushes_its_shards_and_leaves() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        last = world.members["h0"]
        await world.stop("h0")
        assert sorted(last.runtime.drained) == list(range(16))
        assert not world.tables.cluster.hosts

    run_virtual(scenario())


def test_without_hosts_an_ask_ends_at_its_deadline_and_never_ran() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        await world.stop("h0")
        await asyncio.sleep(6)  # the client learns of it
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(DeadlineExceeded):
            await world.inc("k", timeout_ms=2_000)
        assert 1.9 < loop.time() - began < 2.1

    run_virtual(scenario())


def test_an_unanswered_append_is_claimed_again_and_settled_by_state() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        member = world.members["h0"]
        lost = ["orders.append"]

        async def lose_once(call: str) -> None:
            if call in lost:
                lost.remove(call)
                raise StoreOutcomeUnknown("the answer was lost")

        member.seams.after = lose_once
        assert await world.inc("k", "c") == 1
        assert world.journaled() == ["c"]
        shard = shard_of("k", 16)
        assert [epoch for started, epoch in member.runtime.started if started == shard] == [1, 2]

    run_virtual(scenario())


def test_a_host_that_cannot_fence_gives_its_shards_to_those_who_can() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        lame = world.make_host("h1")

        async def no_fence(call: str) -> None:
            if call.endswith((".fence", ".heads")):
                raise StoreUnavailable("this schema is not reached")

        lame.seams.before = no_fence
        await lame.host.start()
        await asyncio.sleep(10)
        assert world.row("h1").weight == 0
        await world.settled()
        assert {hosts[0] for hosts in world.served().values()} == {"h0"}
        lame.seams.before = None
        await asyncio.sleep(15)
        await world.settled()
        assert world.row("h1").weight == 1
        assert {hosts[0] for hosts in world.served().values()} == {"h0", "h1"}

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(12))
def test_joins_leaves_deaths_and_partitions_leave_one_writer_and_every_command_once(seed: int) -> None:
    async def scenario() -> None:
        rng = Random(seed)
        world = World(seed=seed, think_s=0.002, settings=ClusterSettings(shard_count=16))
        await world.start(3)
        faults = world.network.faults
        faults.drop_request = faults.drop_reply = rng.choice([0.0, 0.02])
        faults.duplicate = rng.choice([0.0, 0.05])
        faults.delay_max_ms = rng.choice([0.0, 30.0])
        acknowledged: list[str] = []

        async def buyer(number: int) -> None:
            for step in range(60):
                command = f"b{number}-{step}"
                while True:
                    try:
                        await world.inc(f"k{number}-{step % 4}", command)
                    except ClusterError:
                        await asyncio.sleep(0.1)
                    else:
                        break
                acknowledged.append(command)
                await asyncio.sleep(0.3)

        buyers = [asyncio.create_task(buyer(number)) for number in range(1, 9)]
        fresh = 3
        for _ in range(8):
            await asyncio.sleep(rng.uniform(0.5, 6))
            deed = rng.choice(["join", "stop", "kill", "partition"])
            names = sorted(world.members)
            if deed == "join" or len(names) == 1:
                await world.start_host(f"h{fresh}")
                fresh += 1
            elif deed == "stop":
                await world.stop(rng.choice(names))
            elif deed == "kill":
                await world.kill(rng.choice(names))
            else:
                name = rng.choice(names)
                world.partition(name)
                await asyncio.sleep(rng.uniform(1, 12))
                world.heal(name)
        faults.drop_request = faults.drop_reply = 0.0
        await asyncio.gather(*buyers)
        await asyncio.sleep(15)
        await world.settled()
        journaled = world.journaled()
        assert len(journaled) == len(set(journaled)), "a command ran twice"
        assert set(acknowledged) == set(journaled)
        owners = {row.shard: row.owner for row in world.tables.cluster.shards.values()}
        assert {shard: hosts[0] for shard, hosts in world.served().items()} == owners

    run_virtual(scenario())
