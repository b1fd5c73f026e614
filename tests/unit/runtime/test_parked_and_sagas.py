"""Parked commands, and the sagas that answer them."""

import asyncio

import msgspec

from actors.domain.decision import Rejected
from actors.runtime.planted_bugs import PlantedBugs
from persistence.errors import OutcomeUnknown
from tests.unit.runtime.toys import Add, Get, Open, OpenAndWait, Total, WaitFor, Work
from tests.unit.runtime.world import World, decoded, keyed, run


def test_a_parked_command_is_decided_again_after_each_commit() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        waiting = world.send("tally", "a@0", WaitFor(total=2))
        await world.ask("tally", "a@0", Add(n=1))
        assert not waiting.done()
        await world.ask("tally", "a@0", Add(n=1))
        assert decoded(await waiting) == Total(total=2, version=2)

    run(scenario)


def test_a_parked_command_whose_time_is_nearly_over_gets_what_can_be_said() -> None:
    async def scenario() -> None:
        world = World(parked_margin_ms=250)
        await world.claim(0)
        await world.ask("tally", "known@0", Add(n=1))
        started = asyncio.get_running_loop().time()
        known = world.send("tally", "known@0", WaitFor(total=9), timeout_ms=2_000)
        unknown = world.send("tally", "new@0", WaitFor(total=9), timeout_ms=2_000)
        assert decoded(await known) == Total(total=1, version=1, late=True)
        assert decoded(await unknown) == "outcome-unknown"
        assert 1.5 < asyncio.get_running_loop().time() - started < 1.8

    run(scenario)


def test_a_command_that_waits_undecided_until_its_end_never_runs() -> None:
    async def scenario() -> None:
        world = World()
        held = world.faults.hold("orders.load")
        await world.claim(0)
        assert await world.ask("tally", "a@0", Add(n=1), timeout_ms=1_000) == "deadline-exceeded"
        held.set()
        assert await world.ask("tally", "a@0", Get()) == Total(total=0, version=0)

    run(scenario)


def test_a_saga_answers_all_who_share_it_and_refuses_others() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.claim(1)
        shared = [world.send("tally", "a@0", Work(n=1, other="s@1")) for _ in range(3)]
        other = world.send("tally", "a@0", Work(n=2))
        assert decoded(await other).code == "other-work"
        assert {decoded(await answer) for answer in shared} == {Total(total=0, version=2)}
        assert [event.type for event in world.journal("orders")] == ["Opened", "Closed"]
        assert [event.causation_id for event in world.journal("inventory", 1)] == ["c1"]
        assert len(world.performer.asked) == 1
        await asyncio.sleep(0.01)
        assert world.host.describe().sagas_running == 0

    run(scenario)


def test_no_effect_leaves_before_the_events_behind_it_are_durable() -> None:
    async def scenario(planted: PlantedBugs, expected: int) -> None:
        world = World(planted)
        await world.claim(0)
        await world.claim(1)
        held = world.faults.hold("orders.append")
        add = world.send("tally", "a@0", Open(n=1))  # in flight as soon as it is durable
        begun = world.send("tally", "a@0", Work(n=1, other="s@1"))
        await asyncio.sleep(1)
        assert len(world.performer.asked) == expected
        held.set()
        await asyncio.gather(add, begun)

    run(lambda: scenario(PlantedBugs(), 0))
    run(lambda: scenario(PlantedBugs(effect_before_commit=True), 1))


def test_what_a_saga_gets_no_answer_to_is_a_value() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        assert await world.ask("tally", "a@0", Work(n=1, other="s@1")) == Rejected("no-answer", "not-mine")

    run(scenario)


def test_an_unfinished_saga_goes_on_at_the_next_owner_though_nobody_asks() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        for n in range(20):
            await world.ask("tally", f"done{n}@0", Add(n=1))
        begun = world.send("tally", "a@0", Work(n=1, pause_ms=600_000))
        await asyncio.sleep(0.1)
        for n in range(20):
            await world.ask("tally", f"more{n}@0", Add(n=1))
        assert world.low_water("orders") == 21, "the mark stays at the saga's first event"
        world.host.stop(0)
        assert decoded(await begun) == "outcome-unknown"
        new = await world.takeover(0)
        await asyncio.sleep(1)
        assert world.journal("orders")[-1].type == "Closed"
        assert new.describe().entities == 1, "what was finished was not woken"
        await world.ask("tally", "z@0", Add(n=1))
        assert world.low_water("orders") == len(world.journal("orders")) + 1

    run(scenario)


def test_an_append_during_recovery_does_not_move_the_mark_past_what_is_not_yet_found() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        begun = world.send("tally", "a@0", Work(n=1, pause_ms=600_000))
        await asyncio.sleep(0.1)
        world.host.stop(0)
        await begun
        held = world.faults.hold("orders.read")
        await world.takeover(0)
        await world.ask("tally", "b@0", Add(n=1))
        assert world.low_water("orders") == 1
        await world.takeover(0)  # it dies before it found anything
        held.set()
        await asyncio.sleep(1)
        assert [event.type for event in world.journal("orders")] == ["Opened", "Added", "Closed"]

    run(scenario)


def test_a_saga_with_a_bug_is_stopped_and_tried_again_with_growing_pauses() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        assert await world.ask("tally", "a@0", Work(n=1, crash=True)) == "outcome-unknown"
        assert await world.ask("tally", "a@0", Work(n=1)) == Total(total=0, version=2), "another begins afresh"

    run(scenario)


def test_resumed_sagas_wait_in_line() -> None:
    async def scenario() -> None:
        world = World(sagas_background_max=2)
        await world.claim(0)
        await world.claim(1)
        begun = [world.send("tally", f"k{n}@0", Work(n=1, pause_ms=600_000)) for n in range(10)]
        await asyncio.sleep(0.1)
        world.host.stop(0)
        await asyncio.gather(*begun)
        held = world.faults.hold("orders.append")
        new = await world.takeover(0)
        await asyncio.sleep(1)
        described = new.describe()
        assert (described.sagas_running, described.sagas_queued) == (2, 8)
        held.set()
        await asyncio.sleep(1)
        assert [event.type for event in world.journal("orders")].count("Closed") == 10

    run(scenario)


def test_a_host_full_of_sagas_refuses_to_begin_another() -> None:
    async def scenario() -> None:
        world = World(sagas_running_max=1)
        await world.claim(0)
        first = world.send("tally", "a@0", Work(n=1, pause_ms=100))
        held = world.faults.hold("orders.append")
        await asyncio.sleep(0.01)
        assert await world.ask("tally", "b@0", Work(n=1)) == "overloaded"
        held.set()
        assert decoded(await first) == Total(total=0, version=2)

    run(scenario)


def test_a_saga_goes_on_over_a_cart_that_moved() -> None:
    async def scenario() -> None:
        from tests.unit.runtime.test_carts import moved

        world = World()
        await world.claim(0)
        begun = world.send("note", "a@0", Work(n=1, pause_ms=100))
        await asyncio.sleep(0.05)
        moved(world, "a@0", 7)
        assert decoded(await begun) == Total(total=7, version=3)

    run(scenario)


def test_a_command_may_journal_its_intent_and_wait_for_the_saga_that_follows() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        reply = await world.send("tally", "a@0", OpenAndWait(n=3), idempotency=keyed("k"))
        assert decoded(reply) == Total(total=0, version=2)
        assert [event.type for event in world.journal("orders")] == ["Opened", "Closed"]
        await asyncio.sleep(0.1)
        (row,) = world.tables.journals["orders"].idempotency.values()
        assert row.body == reply.payload, "its answer is remembered though it came after its events"

    run(scenario)


def test_a_command_that_journaled_its_intent_is_unknown_when_its_shard_stops() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        world.faults.hold("orders.append")
        waiting = world.send("tally", "a@0", OpenAndWait(n=3)), world.send("tally", "a@0", WaitFor(total=1))
        await asyncio.sleep(0.1)
        world.host.stop(0)
        assert [decoded(await answer) for answer in waiting] == ["outcome-unknown", "not-mine"]

    run(scenario)


def test_effects_after_the_last_event_are_repeated_once_by_the_next_owner() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.claim(9)
        held = world.faults.hold("inventory.snapshots")
        assert await world.ask("tally", "a@0", Work(n=77)) == Total(total=0, version=2), "told or not, it is done"
        assert await world.ask("tally", "b@0", Add(n=1)) == Total(total=1, version=1)
        assert world.low_water("orders") == 1, "whoever takes over now must tell again"
        world.host.stop(0)
        world.performer.asked.clear()
        held.set()
        await world.takeover(0)
        await asyncio.sleep(1)
        assert [ask.command_id for ask in world.performer.asked] == ["tell"]
        await world.ask("tally", "b@0", Add(n=1))
        assert world.low_water("orders") == 5
        await world.takeover(0)
        await asyncio.sleep(1)
        assert len(world.performer.asked) == 1

    run(scenario)


def test_unfinished_work_whose_write_is_refused_is_looked_at_again() -> None:
    async def scenario() -> None:
        world = World(saga_retry_max_ms=5_000)
        await world.claim(0)
        begun = world.send("tally", "a@0", Work(n=1, pause_ms=600_000))
        await asyncio.sleep(0.1)
        assert await world.ask("tally", "a@0", Add(n=-1)) == "unavailable"
        assert decoded(await begun) == "outcome-unknown", "its saga went with the entity's memory"
        await asyncio.sleep(6)
        assert [event.type for event in world.journal("orders")] == ["Opened", "Closed"]

    run(scenario)


def test_a_state_that_cannot_be_read_stops_no_other_and_holds_the_mark() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        begun = [world.send("tally", f"{key}@0", Work(n=1, pause_ms=600_000)) for key in ("bad", "good")]
        await asyncio.sleep(0.1)
        world.host.stop(0)
        await asyncio.gather(*begun)
        views = world.tables.journals["orders"].views
        views["bad@0"] = msgspec.structs.replace(views["bad@0"], state=b"?")
        await world.takeover(0)
        await asyncio.sleep(1)
        assert world.journal("orders")[-1].entity_id == "good@0"
        await world.ask("tally", "c@0", Add(n=1))
        assert world.low_water("orders") == 1

    run(scenario)


def test_a_lost_append_tells_the_saga_nothing_and_the_next_owner_finds_out() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        world.faults.after["orders.append"] = [OutcomeUnknown("no answer")]
        assert await world.ask("tally", "a@0", Work(n=1)) == "outcome-unknown"
        await world.claim(0)
        assert await world.ask("tally", "a@0", Work(n=1), idempotency=keyed("k")) == Total(total=0, version=2)
        assert [event.type for event in world.journal("orders")] == ["Opened", "Closed"]

    run(scenario)
