"""What becomes of an append that fails: who learns what, what is dropped, and what goes on."""

import asyncio
from collections.abc import Callable

import pytest

from actors.runtime.commit_queue import CommitQueue
from actors.runtime.writes import Write
from persistence.errors import OutcomeUnknown, StoreUnavailable
from tests.unit.runtime.toys import Add, Get, Total
from tests.unit.runtime.world import World, decoded, keyed, run


def test_an_append_without_an_answer_loses_its_shard_at_once() -> None:
    async def scenario() -> None:
        world = World()
        epoch = await world.claim(0)
        await world.claim(1)
        await asyncio.gather(
            *(world.ask(t, "a@0", Get()) for t in ("tally", "stock")), world.ask("stock", "b@1", Get())
        )
        world.faults.after["orders.append"] = [OutcomeUnknown("the answer was lost")]
        inventory = world.faults.hold("inventory.append")
        written = world.send("tally", "a@0", Add(n=1))
        read = world.send("tally", "a@0", Get())
        beside = world.send("stock", "a@0", Add(n=1))
        elsewhere = world.send("stock", "b@1", Add(n=1))
        assert decoded(await written) == "outcome-unknown"
        assert decoded(await read) == "not-mine", "it wrote nothing: it may be sent again"
        assert decoded(await beside) == "outcome-unknown"
        assert world.lost == [(0, epoch)]
        assert await world.ask("tally", "a@0", Get()) == "not-mine"
        inventory.set()
        assert decoded(await elsewhere) == Total(total=1, version=1), "other shards go on"

        await world.claim(0)
        assert await world.ask("tally", "a@0", Get()) == Total(total=1, version=1), "it had been written"

    run(scenario)


def test_a_fenced_shard_writes_nothing_and_stops() -> None:
    async def scenario() -> None:
        world = World()
        epoch = await world.claim(0)
        zombie = world.host
        await world.ask("tally", "a@0", Add(n=1))
        new = await world.takeover(0)
        answer = await zombie.deliver(world.envelope("tally", "a@0", Add(n=10)))
        assert decoded(answer) == "outcome-unknown"
        assert world.lost == [(0, epoch)]
        assert decoded(await new.deliver(world.envelope("tally", "a@0", Get()))) == Total(total=1, version=1)

    run(scenario)


def test_what_queues_behind_a_lost_append_is_never_sent() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        held = world.faults.hold("orders.append")
        world.faults.before["orders.append"] = [OutcomeUnknown("no answer")]
        first = world.send("tally", "a@0", Add(n=1))
        await asyncio.sleep(0.01)
        second = world.send("tally", "a@0", Add(n=1))
        held.set()
        assert [decoded(await answer) for answer in (first, second)] == ["outcome-unknown"] * 2
        await asyncio.sleep(1)
        assert world.faults.calls.count("orders.append") == 1
        assert world.journal("orders") == []

    run(scenario)


def test_an_unreachable_store_is_tried_again_and_nobody_notices() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        world.faults.before["orders.append"] = [StoreUnavailable("restarting")] * 3
        assert await world.ask("tally", "a@0", Add(n=1)) == Total(total=1, version=1)
        assert world.lost == []

    run(scenario)


def test_a_store_that_stays_away_is_a_definite_failure_and_memory_is_dropped() -> None:
    async def scenario() -> None:
        world = World()
        epoch = await world.claim(0)
        await world.ask("tally", "a@0", Get())
        started = asyncio.get_running_loop().time()
        world.faults.before["orders.append"] = [StoreUnavailable("down")] * 100
        first = world.send("tally", "a@0", Add(n=1))
        await asyncio.sleep(0.05)
        second = world.send("tally", "b@0", Add(n=1))
        assert [decoded(await answer) for answer in (first, second)] == ["unavailable"] * 2
        assert asyncio.get_running_loop().time() - started < 1.5
        assert world.lost == [(0, epoch)], "memory ran ahead of the journal"
        world.faults.before.clear()
        await world.claim(0)
        assert await world.ask("tally", "a@0", Get()) == Total(total=0, version=0)

    run(scenario)


def test_the_end_of_a_long_queue_is_told_without_searching_it_for_each_entity(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    forget = CommitQueue._forget

    def counted(queue: CommitQueue, dropped: Callable[[Write], bool]) -> None:
        searched.append(len(queue))
        forget(queue, dropped)

    monkeypatch.setattr(CommitQueue, "_forget", counted)

    async def scenario() -> None:
        world = World()
        await world.claim(0)
        keys = [f"k{n}@0" for n in range(300)]
        await asyncio.gather(*(world.ask("tally", key, Get()) for key in keys))
        world.faults.before["orders.append"] = [StoreUnavailable("down")] * 100
        first = world.send("tally", "first@0", Add(n=1))
        await asyncio.sleep(0.05)
        answers = [decoded(await sent) for sent in [first, *(world.send("tally", key, Add(n=1)) for key in keys)]]
        assert answers == ["unavailable"] * 301
        assert sum(searched) < 10 * len(keys), "a queue of 20,000 would stop the loop for longer than the lease"

    run(scenario)


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_refused_write_fails_its_entity_alone_and_leaves_no_gap(bad_first: bool) -> None:
    async def scenario() -> None:
        world = World()
        for shard in (0, 1):
            await world.claim(shard)
        for key in ("good@0", "bad@0", "good@1"):
            await world.ask("tally", key, Add(n=1))
        held = world.faults.hold("orders.append")
        plug = world.send("tally", "plug@1", Add(n=1))
        await asyncio.sleep(0.01)
        keys = ["bad@0", "good@0"] if bad_first else ["good@0", "bad@0"]
        sent = {key: world.send("tally", key, Add(n=-5 if key == "bad@0" else 1)) for key in keys}
        other_shard = world.send("tally", "good@1", Add(n=1))
        later = world.send("tally", "bad@0", Add(n=1))
        good_later = world.send("tally", "good@0", Add(n=1))
        held.set()
        assert decoded(await plug) == Total(total=1, version=1)
        assert decoded(await sent["good@0"]) == Total(total=2, version=2)
        assert decoded(await good_later) == Total(total=3, version=3)
        assert decoded(await other_shard) == Total(total=2, version=2)
        assert decoded(await sent["bad@0"]) == "unavailable"
        assert decoded(await later) == "unavailable", "it was decided on what was refused"
        assert world.lost == []
        assert [event.seq for event in world.journal("orders", 0)] == [1, 2, 3, 4]
        assert await world.ask("tally", "bad@0", Add(n=1)) == Total(total=2, version=2), "read again, it goes on"
        assert world.view("orders", "bad@0").seqs == (2, 5)  # type: ignore[union-attr]

    run(scenario)


def test_a_refused_sku_is_rebuilt_from_the_journal_when_it_is_needed() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        for n in (3, 4):
            await world.ask("stock", "a@0", Add(n=n))
        assert await world.ask("stock", "a@0", Add(n=-100)) == "unavailable"
        assert await world.ask("stock", "a@0", Get()) == Total(total=7, version=2)

    run(scenario)


def test_a_key_that_is_remembered_already_refuses_its_write_alone() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Add(n=1), idempotency=keyed("k"))
        answers = [world.send("tally", "b@0", Add(n=1), idempotency=keyed("k")), world.send("tally", "c@0", Add(n=1))]
        assert [decoded(await answer) for answer in answers] == ["unavailable", Total(total=1, version=1)]

    run(scenario)


def test_stopping_tells_each_waiter_what_is_known() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        world.faults.hold("orders.append")
        world.faults.hold("payments.load")
        wrote, read = world.send("tally", "a@0", Add(n=1)), world.send("tally", "a@0", Get())
        loading = world.send("purse", "a@0", Add(n=1))
        await asyncio.sleep(0.01)
        world.host.stop(0)
        assert [decoded(await answer) for answer in (wrote, read, loading)] == [
            "outcome-unknown",
            "not-mine",
            "not-mine",
        ]
        assert world.lost == [], "whoever stops it knows"
        assert world.host.describe().commands == 0

    run(scenario)
