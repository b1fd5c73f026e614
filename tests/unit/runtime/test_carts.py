"""Entities without a journal: compare-and-set, and what happens when somebody else was there."""

import asyncio

import msgspec
import structlog

from persistence.errors import OutcomeUnknown, StoreUnavailable, WriteRefused
from tests.unit.runtime.toys import Add, Get, Total
from tests.unit.runtime.world import World, decoded, run


def moved(world: World, id_: str, total: int) -> None:
    """Somebody else writes this cart."""
    carts = world.tables.carts.carts
    held = carts[id_]
    state = msgspec.json.decode(held.state)
    state |= {"total": total, "version": held.version + 1}
    carts[id_] = msgspec.structs.replace(held, version=held.version + 1, state=msgspec.json.encode(state))


def test_a_cart_that_moved_is_read_again_and_its_commands_are_decided_once_more() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Add(n=1))
        moved(world, "a@0", 100)
        answers = [world.send("note", "a@0", Add(n=1)), world.send("note", "a@0", Get())]
        beside = world.send("note", "b@0", Add(n=1))
        assert [decoded(await answer) for answer in answers] == [Total(total=101, version=3)] * 2
        assert decoded(await beside) == Total(total=1, version=1)

    run(scenario)


def test_a_cart_that_the_store_lost_begins_anew_and_is_counted() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Add(n=5))
        del world.tables.carts.carts["a@0"]
        assert await world.ask("note", "a@0", Add(n=1)) == Total(total=1, version=1)
        assert world.host.services.metrics.carts_reloaded == {("note", "moved"): 1}

    run(scenario)


def test_a_cart_that_moves_twice_is_an_unknown_outcome() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Add(n=1))
        world.faults.meanwhile["carts.save"] = lambda: moved(world, "a@0", 200)
        assert await world.ask("note", "a@0", Add(n=1)) == "outcome-unknown"
        assert world.faults.calls.count("carts.save") == 3
        world.faults.meanwhile.clear()
        assert await world.ask("note", "a@0", Get()) == Total(total=200, version=3)

    run(scenario)


def test_one_save_a_cart_is_in_flight_and_later_commands_go_together() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Get())
        held = world.faults.hold("carts.save")
        first = world.send("note", "a@0", Add(n=1))
        await asyncio.sleep(0.01)
        rest = [world.send("note", f"{key}@0", Add(n=1)) for key in "aaabbbccc"]
        await asyncio.sleep(0.01)
        held.set()
        await asyncio.gather(first, *rest)
        assert world.faults.calls.count("carts.save") == 2
        assert world.tables.carts.carts["a@0"].version == 4

    run(scenario)


def test_a_save_without_an_answer_is_unknown_to_its_writer_and_read_again_for_others() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Get())
        world.faults.after["carts.save"] = [OutcomeUnknown("no answer")]
        answers = [world.send("note", "a@0", Add(n=1)), world.send("note", "a@0", Get())]
        assert [decoded(await answer) for answer in answers] == ["outcome-unknown", Total(total=1, version=1)]
        assert world.lost == []

    run(scenario)


def test_carts_are_unavailable_never_empty_while_their_store_is_away() -> None:
    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Add(n=1))
        world.faults.before = {name: [StoreUnavailable("down")] * 100 for name in ("carts.save", "carts.load")}
        assert await world.ask("note", "a@0", Add(n=1)) == "unavailable"
        assert await world.ask("note", "a@0", Get()) == "unavailable"
        world.faults.before.clear()
        assert await world.ask("note", "a@0", Get()) == Total(total=1, version=1)

    run(scenario)


def test_a_cart_whose_write_is_refused_fails_alone_and_is_logged_by_its_key() -> None:
    """By its key, because logs leave out what a guest's cart is called: whoever knows that has the cart."""

    async def scenario() -> None:
        world = World()
        await world.claim(0)
        await world.ask("note", "a@0", Add(n=1))
        world.faults.before["carts.save"] = [WriteRefused("22021")]
        with structlog.testing.capture_logs() as logs:
            assert await world.ask("note", "a@0", Add(n=1)) == "unavailable"
        (told,) = [line for line in logs if line["event"] == "cart.refused"]
        assert told["entity"] == ("note", "a@0")
        assert "a@0" not in {value for name, value in told.items() if name != "entity"}
        assert await world.ask("note", "a@0", Get()) == Total(total=1, version=1)

    run(scenario)
