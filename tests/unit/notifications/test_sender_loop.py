"""The sender's loop: crashes, stops, stores that are away, and how much it does at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog

from actors.notifications.sender import LEASE_MS
from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.memory.seams import Seams
from persistence.records import NotificationRow
from persistence.stores import open_memory_stores
from tests.unit.notifications.sender_world import World


async def test_a_crash_between_sending_and_marking_sends_once_more_after_the_lease() -> None:
    marking, release = asyncio.Event(), asyncio.Event()

    async def before(name: str) -> None:
        if name == "notifications.sent" and not release.is_set():
            marking.set()
            await asyncio.Event().wait()

    world = World(Seams(before=before))
    await world.add(1)
    crashing = asyncio.create_task(world.sender(stop_settle_ms=0).run())
    await marking.wait()
    crashing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crashing
    release.set()
    assert (world.mailbox.taken, world.row().status) == (["ntf_1"], "pending")
    assert await world.sender().send_due() == 0
    world.now_ms += LEASE_MS
    assert await world.sender().send_due() == 1
    assert (world.mailbox.taken, world.row().status, world.row().attempts) == (["ntf_1"] * 2, "sent", 2)
    assert world.told() == ["notification.sent"]


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), OutcomeUnknown("no answer")])
async def test_a_store_that_is_away_for_a_moment_costs_no_second_mail(fault: Exception) -> None:
    faults = [fault] * 2

    async def before(name: str) -> None:
        if name == "notifications.sent" and faults:
            raise faults.pop()

    world = World(Seams(before=before))
    await world.add(1)
    await world.sender().send_due()
    assert (world.mailbox.taken, world.row().status) == (["ntf_1"], "sent")


async def test_a_store_that_stays_away_past_the_lease_is_left_alone() -> None:
    world = World()
    world.stores = open_memory_stores(lambda: world.now_ms, tables=world.tables, seams=Seams(before=_away(world)))
    await world.add(1)
    with structlog.testing.capture_logs() as logs:
        await world.sender().send_due()
    assert world.row().status == "pending"
    assert [entry["event"] for entry in logs] == ["sender.not_marked"]


def _away(world: World) -> Callable[[str], Awaitable[None]]:
    async def before(name: str) -> None:
        if name == "notifications.sent":
            world.now_ms += LEASE_MS
            raise StoreUnavailable("away")

    return before


async def test_the_loop_sends_what_comes_a_bounded_number_at_once_and_survives_the_store() -> None:
    away = True

    async def before(name: str) -> None:
        if name == "notifications.take_due" and away:
            raise StoreUnavailable("away")

    world = World(Seams(before=before))
    await world.add(*range(1, 31))
    gate, full = asyncio.Event(), asyncio.Event()

    async def behave(_row: NotificationRow) -> None:
        if world.mailbox.at_once == 3:
            full.set()
        await gate.wait()

    world.mailbox.behave = behave
    running = asyncio.create_task(world.sender(poll_interval_ms=1, at_once_max=3).run())
    await asyncio.sleep(0.02)
    assert world.mailbox.at_once == 0
    away = False
    async with asyncio.timeout(5):
        await full.wait()
        gate.set()
        while len(world.mailbox.taken) < 30:  # noqa: ASYNC110 - the loop is what is waited for
            await asyncio.sleep(0.001)
        await world.add(99)
        while world.row(99).status != "sent":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.mailbox.at_once_most == 3
    assert len(set(world.mailbox.taken)) == len(world.mailbox.taken) == 31


async def test_a_sender_that_is_stopped_lets_what_it_hands_over_end() -> None:
    world = World()
    await world.add(1)
    begun, gate = asyncio.Event(), asyncio.Event()

    async def behave(_row: NotificationRow) -> None:
        begun.set()
        await gate.wait()

    world.mailbox.behave = behave
    running = asyncio.create_task(world.sender().run())
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (world.mailbox.taken, world.row().status) == (["ntf_1"], "sent")


async def test_one_that_hangs_does_not_hold_up_the_others() -> None:
    world = World()
    await world.add(1)
    hangs = asyncio.Event()
    settings = {"poll_interval_ms": 1, "stop_settle_ms": 0}

    async def behave(row: NotificationRow) -> None:
        if row.id == "ntf_1":
            hangs.set()
            await asyncio.Event().wait()

    world.mailbox.behave = behave
    running = asyncio.create_task(world.sender(**settings).run())
    async with asyncio.timeout(5):
        await hangs.wait()
        await world.add(2, 3)
        while len(world.mailbox.taken) < 2:  # noqa: ASYNC110 - the loop is what is waited for
            await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.row(1).status == "pending"
