"""What a caller is told, how fast, and what a claim does about a journal that is ahead of it."""

import asyncio

import pytest

from cluster.errors import ClusterError, DeadlineExceeded, LeaseLost, NotMine, OutcomeUnknown, Overloaded
from cluster.hashing import shard_of
from cluster.reconcile import plan
from cluster.reply_codes import fault_of, fault_reply
from cluster.settings import ClusterSettings
from persistence.errors import StoreUnavailable
from persistence.records import Head, HostRow, ShardRow
from tests.simulation.virtual_loop import run_virtual
from tests.unit.cluster.world import World


async def _unavailable(_call: str) -> None:
    raise StoreUnavailable("down")


@pytest.mark.parametrize("error", [ClusterError("x"), Overloaded("x"), DeadlineExceeded("x"), LeaseLost("x")])
def test_definite_faults_stay_definite_on_their_way(error: ClusterError) -> None:
    told = fault_of(fault_reply("m", error), 3)
    assert type(told) is type(error)
    assert not told.may_have_run


def test_a_fault_nobody_knows_may_mean_anything() -> None:
    reply = fault_reply("m", type("New", (ClusterError,), {"code": "from-a-later-version"})())
    assert fault_of(reply, 3).may_have_run
    told = fault_of(fault_reply("m", NotMine(3, "h2")), 3)
    assert isinstance(told, NotMine)
    assert told.owner == "h2"


def test_a_region_with_too_much_outstanding_refuses() -> None:
    async def scenario() -> None:
        world = World(settings=ClusterSettings(shard_count=16, region_outstanding_max=5), think_s=0.1)
        await world.start(1)
        await world.settled()
        asks = [asyncio.create_task(world.inc(f"k{n}")) for n in range(6)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert [isinstance(result, Overloaded) for result in results] == [False] * 5 + [True]

    run_virtual(scenario())


def test_a_hint_is_delivered_and_a_lost_one_harms_nobody() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        ref = world.counter("k")
        ref.tell(ref.envelope(b"inc", command_id="hint"))
        await asyncio.sleep(0.1)
        assert world.journaled() == ["hint"]
        await world.kill("h0")
        ref.tell(ref.envelope(b"inc", timeout_ms=100))
        await asyncio.sleep(1)

    run_virtual(scenario())


def test_with_the_cluster_database_down_a_caller_learns_within_about_a_second() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        member = world.members["h0"]
        member.seams.before = _unavailable
        await asyncio.sleep(8)  # longer than the lease
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(LeaseLost):
            await world.inc("k", timeout_ms=8_000)
        assert loop.time() - began < 2
        member.seams.before = None
        began = loop.time()
        assert await world.inc("k", timeout_ms=8_000) == 1
        assert loop.time() - began < 4

    run_virtual(scenario())


def test_a_message_within_a_host_stays_in_process() -> None:
    async def scenario() -> None:
        world = World()
        await world.start(1)
        await world.settled()
        member = world.members["h0"]
        world.network.kill(member.actor_name)  # whoever went through the network would fail
        reply = await member.host.region.ask(world.counter("k").envelope(b"inc"))
        assert reply.payload == b"1"

    run_virtual(scenario())


def test_a_caller_that_gives_up_does_not_stop_a_local_command() -> None:
    async def scenario() -> None:
        world = World(think_s=0.5)
        await world.start(1)
        await world.settled()
        region = world.members["h0"].host.region
        with pytest.raises(OutcomeUnknown):
            await region.ask(world.counter("k").envelope(b"inc", command_id="c", timeout_ms=100))
        await asyncio.sleep(1)
        assert world.journaled() == ["c"]

    run_virtual(scenario())


def test_a_claim_is_raised_above_a_journal_that_is_ahead_of_it_and_all_are_fenced_alike() -> None:
    async def scenario() -> None:
        world = World()
        shard = shard_of("k", 16)
        world.tables.journals["payments"].heads[shard] = Head(shard=shard, epoch=41, seq=0, low_water=0)
        await world.start(1)
        await world.settled()
        assert await world.inc("k") == 1
        assert {service: tables.heads[shard].epoch for service, tables in world.tables.journals.items()} == {
            "orders": 42,
            "inventory": 42,
            "payments": 42,
        }
        assert world.tables.cluster.shards[shard].epoch == 42

    run_virtual(scenario())


def _host(name: str, incarnation: str = "1", weight: float = 1.0) -> HostRow:
    return HostRow(
        host=name,
        incarnation=incarnation,
        node="n",
        actor_name=name,
        weight=weight,
        renewed_at_ms=0,
        expires_at_ms=0,
    )


def _shard(owner: str | None, incarnation: str | None = "1", epoch: int = 5) -> ShardRow:
    return ShardRow(shard=0, owner=owner, incarnation=incarnation, epoch=epoch)


@pytest.mark.parametrize("overdue", [False, True])
def test_an_orphan_meant_for_another_is_left_to_it_for_a_while(overdue: bool) -> None:
    hosts = [_host("a"), _host("b", weight=1e9)]
    todo = plan([_shard("gone")], hosts, ("a", "1"), served={}, overdue=lambda _: overdue, shard_count=1)
    assert todo.claim == ([0] if overdue else [])
    assert todo.orphans == {0}


def test_a_shard_of_an_older_incarnation_of_ours_is_claimed_and_one_we_cannot_keep_is_handed_on() -> None:
    def todo(row: ShardRow, hosts: list[HostRow]) -> tuple[list[int], list[str]]:
        found = plan([row], hosts, ("a", "2"), served={}, overdue=lambda _: False, shard_count=1)
        return found.claim, [to.host for _, to in found.hand_on]

    assert todo(_shard("a", "1"), [_host("a", "2")]) == ([0], [])
    assert todo(_shard("a", "2"), [_host("a", "2", 0.0), _host("b")]) == ([], ["b"])
    assert todo(_shard("a", "2"), [_host("a", "2", 0.0), _host("b", weight=0.0)]) == ([0], [])


def test_a_shard_we_serve_and_another_owns_at_a_later_epoch_is_lost() -> None:
    for epoch, lost in ((5, []), (6, [0]), (7, [0])):
        row = _shard("b", epoch=epoch)
        found = plan([row], [_host("a"), _host("b")], ("a", "1"), served={0: 6}, overdue=lambda _: False, shard_count=1)
        assert [row.shard for row in found.lost] == lost
