"""What may leave, and when: activation, answers, group commit."""

import asyncio

import pytest

from actors.runtime.planted_bugs import PlantedBugs
from persistence.records import OrderRow
from tests.unit.runtime.toys import Add, Crash, Get, GiveBack, Total
from tests.unit.runtime.world import EPOCH_MS, World, decoded, keyed, run

JOURNALED = [("tally", "orders"), ("stock", "inventory"), ("purse", "payments")]


@pytest.mark.parametrize(("type_", "service"), JOURNALED)
def test_no_answer_leaves_before_its_events_are_durable(type_: str, service: str) -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        released = world.faults.hold(f"{service}.append")
        add, read = world.send(type_, "a@0", Add(n=3)), world.send(type_, "a@0", Get())
        await asyncio.sleep(1)
        assert not add.done()
        assert not read.done(), "a read saw uncommitted state: it waits too"
        released.set()
        assert decoded(await add) == decoded(await read) == Total(total=3, version=1)
        assert [event.version for event in world.journal(service)] == [1]

    run(scenario)


def test_a_cart_answers_once_it_is_saved() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        released = world.faults.hold("carts.save")
        add = world.send("note", "a@0", Add(n=3))
        await asyncio.sleep(1)
        assert not add.done()
        released.set()
        assert decoded(await add) == Total(total=3, version=1)
        assert world.tables.carts.carts["a@0"].version == 1
        assert [row.event.version for row in world.tables.carts.outbox.rows.values()] == [1]

    run(scenario)


def test_what_comes_while_an_entity_is_being_read_waits_for_that_one_read() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await asyncio.sleep(0.1)
        world.faults.calls.clear()
        answers = [world.send("tally", f"k{n % 10}@0", Add(n=1)) for n in range(100)]
        totals = [decoded(await answer) for answer in answers]
        assert [total.total for total in totals] == [n // 10 + 1 for n in range(100)]
        loads = [call for call in world.faults.calls if call == "orders.load"]
        assert 1 <= len(loads) <= 2, "ten entities were read by at most two queries"
        assert world.faults.calls.count("orders.append") == 1

    run(scenario)


def test_while_one_append_is_in_flight_everything_else_goes_with_the_next() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.claim(1)
        await asyncio.gather(*(world.ask("tally", f"{k}@{s}", Get()) for k in "ab" for s in (0, 1)))
        released = world.faults.hold("orders.append")
        world.faults.calls.clear()
        first = world.send("tally", "a@0", Add(n=1))
        await asyncio.sleep(0.01)
        rest = [world.send("tally", f"{k}@{s}", Add(n=1)) for _ in range(50) for k in "ab" for s in (0, 1)]
        released.set()
        await asyncio.gather(first, *rest)
        assert world.faults.calls.count("orders.append") == 2
        assert [event.seq for event in world.journal("orders", 0)] == list(range(1, 102))
        row = world.view("orders", "a@0")
        assert isinstance(row, OrderRow)
        assert (row.version, len(row.seqs)) == (51, 51)

    run(scenario)


def test_an_append_takes_at_most_its_bound_of_events() -> None:
    async def scenario() -> None:
        world = World(append_events_max=100)
        await world.claim(0)
        await world.ask("tally", "a@0", Get())
        world.faults.calls.clear()
        answers = [world.send("tally", "a@0", Add(n=1, events=30)) for _ in range(10)]
        assert [decoded(await answer).version for answer in answers] == list(range(30, 301, 30))
        assert world.faults.calls.count("orders.append") == 4
        assert world.host.describe().committers["orders"].events == 300

    run(scenario)


def test_an_event_carries_the_metadata_of_its_command() -> None:
    async def scenario() -> None:
        world = World()
        world.clock.skew_ms = 7
        await world.claim(0)
        await world.ask(
            "tally", "a@0", Add(n=1), command_id="deed", correlation_id="flow", causation_id="why", traceparent="trace"
        )
        (event,) = world.journal("orders")
        assert (event.command_id, event.correlation_id, event.causation_id, event.traceparent) == (
            "deed",
            "flow",
            "why",
            "trace",
        )
        assert EPOCH_MS - 7 <= event.at_ms < EPOCH_MS

    run(scenario)


def test_a_keyed_commands_answer_is_remembered_with_its_events_and_a_reads_is_not() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        reply = await world.send("tally", "a@0", Add(n=1), idempotency=keyed("k"))
        await world.ask("tally", "a@0", Get(), idempotency=keyed("read"))
        (row,) = world.tables.journals["orders"].idempotency.values()
        assert (row.key, row.status, row.fingerprint, row.body) == ("k", 0, "f", reply.payload)

    run(scenario)


def test_memory_proves_nothing_once_the_lease_may_be_over() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("tally", "a@0", Add(n=1))
        world.may_answer = False
        assert await world.ask("tally", "a@0", Get()) == "lease-lost"
        assert await world.ask("tally", "a@0", Add(n=1)) == Total(total=2, version=2), "an append proves itself"

    run(scenario)


def test_a_resend_of_a_message_in_flight_shares_its_answer() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        envelope = world.envelope("tally", "a@0", Add(n=1))
        answers = [world.host.deliver(envelope) for _ in range(5)]
        answers[0].cancel()
        local = world.host.deliver_local(envelope, Add(n=1))
        assert {decoded(await answer) for answer in answers[1:]} == {Total(total=1, version=1)}
        assert await local == Total(total=1, version=1)
        assert len(world.journal("orders")) == 1

    run(scenario)


def test_without_deduplication_a_resend_is_decided_again() -> None:
    async def scenario() -> None:
        world = World(PlantedBugs(dedup_off=True))
        await world.claim(0)
        envelope = world.envelope("tally", "a@0", Add(n=1))
        await asyncio.gather(*(world.host.deliver(envelope) for _ in range(2)))
        assert len(world.journal("orders")) == 2

    run(scenario)


def test_late_and_absurd_deadlines_are_refused() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        assert await world.ask("tally", "a@0", Add(n=1), timeout_ms=-1) == "deadline-exceeded"
        assert await world.ask("tally", "a@0", Add(n=1), timeout_ms=60_000) == "unavailable"
        assert world.journal("orders") == []

    run(scenario)


def test_what_is_no_command_or_no_place_of_ours_is_refused_before_it_runs() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        assert await world.ask("tally", "a@0", Add(n=1), payload=b"\xc1") == "unavailable"
        assert await world.ask("tally", "a@0", Add(n=1), payload=b"\x81\xa4type\xa4Nope") == "unavailable"
        assert await world.ask("nothing", "a@0", Add(n=1)) == "unavailable"
        assert await world.ask("tally", "a@0", Add(n=1), routing_key="b@0") == "unavailable"
        assert await world.ask("tally", "a@9", Add(n=1)) == "not-mine"

    run(scenario)


def test_a_bug_in_decide_fails_its_command_alone() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        assert await world.ask("tally", "a@0", Crash()) == "unavailable"
        assert await world.ask("tally", "a@0", Add(n=1)) == Total(total=1, version=1)

    run(scenario)


def test_a_full_mailbox_refuses_all_but_what_finishes_something() -> None:
    async def scenario() -> None:
        from tests.unit.runtime.toys import Close

        world = World(mailbox_commands_max=3)
        released = world.faults.hold("orders.load")
        await world.claim(0)
        waiting = [world.send("tally", "a@0", Add(n=1)) for _ in range(3)]
        assert await world.ask("tally", "a@0", Add(n=1)) == "overloaded"
        urgent = world.send("tally", "a@0", Close())
        released.set()
        assert decoded(await urgent).code == "not-open"
        assert [decoded(await answer).total for answer in waiting] == [1, 2, 3]

    run(scenario)


def test_a_full_host_refuses_clients_and_still_takes_what_sagas_ask() -> None:
    async def scenario() -> None:
        world = World(host_commands_max=5, host_internal_commands_max=6)
        released = world.faults.hold("orders.append")
        await world.claim(0)
        waiting = [world.send("tally", f"k{n}@0", Add(n=1)) for n in range(5)]
        await asyncio.sleep(0.1)
        assert await world.ask("tally", "z@0", Add(n=1)) == "overloaded", "those that wait for a commit count"
        internal = world.send("tally", "z@0", Add(n=1), causation_id="saga")
        assert await world.ask("tally", "z@0", Add(n=1), causation_id="saga") == "overloaded"
        released.set()
        await asyncio.gather(*waiting, internal)
        assert world.host.describe().commands == 0

    run(scenario)


def test_commands_that_read_the_store_first_are_decided_one_by_one() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        answers = [world.send("stock", "a@0", GiveBack(order_id="o1")) for _ in range(5)]
        other = world.send("stock", "a@0", Add(n=1))
        for answer in answers:
            await answer
        assert (await other).kind == "ok"
        assert [event.type for event in world.journal("inventory")].count("GaveBack") == 1
        assert world.tables.journals["inventory"].returns == {("o1", "a@0")}

    run(scenario)
