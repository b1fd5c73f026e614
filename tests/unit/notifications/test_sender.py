"""What is sent when, what is tried again, and what is given up."""

import asyncio

import structlog

from actors.notifications.sender import Sender
from persistence.errors import NotDelivered
from persistence.records import NotificationRow
from tests.unit.notifications.sender_world import World, failing

DAY_MS = 86_400_000
LATER = NotDelivered("recipient refused with 451", permanent=False, reply="451 ada@example.com later")
NEVER = NotDelivered("recipient refused with 550", permanent=True, reply="550 ada@example.com unknown")


async def test_what_is_due_is_sent_and_told() -> None:
    world = World()
    await world.add(1, 2)
    await world.add(3, due_at_ms=5_000)
    assert await world.sender().send_due() == 2
    assert world.mailbox.taken == ["ntf_1", "ntf_2"]
    assert [world.row(n).status for n in (1, 2, 3)] == ["sent", "sent", "pending"]
    assert world.row(1).ended_at_ms == 1_000
    assert world.told() == ["notification.sent"] * 2
    assert await world.sender().send_due() == 0


async def test_temporary_faults_are_tried_again_ever_later() -> None:
    world = World()
    await world.add(1)
    world.mailbox.behave = failing(*[LATER] * 12)
    pauses = []
    for attempt in range(1, 13):
        assert await world.sender().send_due() == 1
        row = world.row()
        assert (row.status, row.attempts) == ("pending", attempt)
        assert row.error == "recipient refused with 451: 451 ada@example.com later"
        pauses.append(row.due_at_ms - world.now_ms)
        assert await world.sender().send_due() == 0
        world.now_ms = row.due_at_ms
    assert pauses == [5_000 * 2**n for n in range(8)] + [900_000] * 4
    await world.sender().send_due()
    assert (world.row().status, world.row().error) == ("sent", "")


async def test_chance_shortens_a_pause_by_half_at_most() -> None:
    world = World()
    await world.add(1)
    world.mailbox.behave = failing(LATER)
    sender = Sender(world.stores.notifications, {"email": world.mailbox}, lambda: world.now_ms, chance=lambda: 0.0)
    await sender.send_due()
    assert world.row().due_at_ms - world.now_ms == 2_500


async def test_a_permanent_refusal_fails_at_once_and_is_told() -> None:
    world = World()
    await world.add(1)
    world.mailbox.behave = failing(NEVER)
    await world.sender().send_due()
    row = world.row()
    assert (row.status, row.attempts, row.ended_at_ms) == ("failed", 1, 1_000)
    assert row.error == "recipient refused with 550: 550 ada@example.com unknown"
    assert world.told() == ["notification.failed"]


async def test_after_a_day_it_is_given_up_and_told() -> None:
    world = World()
    await world.add(1)
    world.mailbox.behave = failing(*[LATER] * 1_000)
    tries = 0
    while world.row().status == "pending":
        assert await world.sender().send_due() == 1
        tries += 1
        world.now_ms = max(world.now_ms, world.row().due_at_ms)
    assert world.row().status == "failed"
    assert world.row().ended_at_ms == 1 + DAY_MS
    assert 90 < tries < 120
    assert world.told() == ["notification.failed"]


async def test_a_hanging_server_is_a_temporary_fault() -> None:
    world = World()
    await world.add(1)

    async def hang(_row: NotificationRow) -> None:
        await asyncio.Event().wait()

    world.mailbox.behave = hang
    await world.sender(send_timeout_ms=20).send_due()
    assert (world.row().status, world.row().error) == ("pending", "no answer in time")


async def test_a_channel_without_a_mailer_waits() -> None:
    world = World()
    await world.add(1, channel="sms")
    await world.sender().send_due()
    assert (world.row().status, world.row().error) == ("pending", "there is no mailer for this channel")


async def test_a_mailer_that_breaks_stops_nobody_and_tells_the_log_no_text() -> None:
    world = World()
    await world.add(1, 2)
    world.mailbox.behave = failing(KeyError("ada@example.com"))
    with structlog.testing.capture_logs() as logs:
        await world.sender().send_due()
    assert [world.row(n).status for n in (1, 2)] == ["pending", "sent"]
    assert "ada@example.com" not in str(logs)


async def test_logs_have_neither_the_address_nor_the_text() -> None:
    world = World()
    await world.add(1, 2, subject="canary-subject", text_body="canary-text")
    world.mailbox.behave = failing(LATER, NEVER)
    with structlog.testing.capture_logs() as logs:
        await world.sender().send_due()
    assert [entry["event"] for entry in logs] == ["sender.later", "sender.failed"]
    assert "ada@" not in str(logs)
    assert "canary" not in str(logs)
