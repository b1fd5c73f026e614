"""Messages to customers: once for an event and channel, taken by one sender at a time, ended once."""

import asyncio
from typing import Any

import msgspec
import pytest

from persistence.errors import WriteRefused
from persistence.postgres.database import Database
from persistence.postgres.queries import fill, load_queries
from persistence.records import NewEvent, NotificationRow
from persistence.stores import Stores
from tests.contract.builders import event

LEASE_MS = 1_000


def message(number: int = 1, **changes: Any) -> NotificationRow:
    """A pending e-mail about an event of its own, made and due at its number (ms)."""
    fields: dict[str, Any] = {
        "id": f"ntf_{number}", "event_id": f"order:ord_1:{number}", "type": "order_confirmed", "channel": "email",
        "recipient": "ada@example.com", "subject": "Your order", "text_body": "Hello ünïcode", "html_body": "<p>Hello",
        "user_id": "usr_1", "order_id": "ord_1", "status": "pending", "attempts": 0, "due_at_ms": number,
        "created_at_ms": number, "ended_at_ms": None, "traceparent": "00-a", "correlation_id": "corr",
    }  # fmt: skip
    return NotificationRow(**fields | changes)


def kept(number: int, **changes: Any) -> NotificationRow:
    """One of the built-in mailbox: sent when it was made."""
    return message(number, status="sent", ended_at_ms=number, **changes)


def told(number: int = 1, fact: str = "sent") -> NewEvent:
    return msgspec.structs.replace(event(f"ntf_{number}", entity_type="notification"), type=f"notification.{fact}")


async def outbox(stores: Stores) -> list[tuple[str, str, str]]:
    return [(row.topic, row.event.entity_id, row.event.type) for row in await stores.outboxes["users"].read(100)]


async def test_a_message_comes_back_whole(stores: Stores) -> None:
    rows = [message(1), kept(2, user_id="", error="why", attempts=3), message(3, channel="sms", html_body="")]
    assert await stores.notifications.add(rows) == {"ntf_1", "ntf_2", "ntf_3"}
    for row in rows:
        assert await stores.notifications.by_id(row.id) == row
    assert await stores.notifications.by_id("ntf_4") is None
    assert await stores.notifications.add([]) == frozenset()


async def test_an_event_is_told_once_a_channel(stores: Stores) -> None:
    assert await stores.notifications.add([message(1)]) == {"ntf_1"}
    same_event = message(1, id="ntf_9", subject="another")
    assert await stores.notifications.add([message(1, subject="another"), same_event]) == frozenset()
    assert (await stores.notifications.by_id("ntf_1")) == message(1)
    assert await stores.notifications.add([message(1, id="ntf_sms", channel="sms")]) == {"ntf_sms"}
    twins = [message(2), message(2, id="ntf_8"), message(2)]
    assert await stores.notifications.add(twins) == {"ntf_2"}


async def test_only_what_was_inserted_tells_its_event(stores: Stores) -> None:
    await stores.notifications.add([kept(1)], [told(1)])
    await stores.notifications.add([kept(1), kept(2), message(3)], [told(1), told(2)])
    assert await outbox(stores) == [
        ("notification-events", "ntf_1", "notification.sent"),
        ("notification-events", "ntf_2", "notification.sent"),
    ]


async def test_concurrent_adds_of_one_event_insert_one(stores: Stores) -> None:
    adds = [stores.notifications.add([kept(1, id=f"ntf_{n}")], [told(n)]) for n in range(5)]
    assert sum(len(added) for added in await asyncio.gather(*adds)) == 1
    assert len(await outbox(stores)) == 1


async def test_due_rows_are_taken_oldest_first_and_for_a_while(stores: Stores) -> None:
    await stores.notifications.add([message(n) for n in (3, 1, 2, 9)] + [kept(4)])
    taken = await stores.notifications.take_due(8, LEASE_MS, 2)
    assert [(row.id, row.attempts, row.due_at_ms) for row in taken] == [("ntf_1", 1, 1_008), ("ntf_2", 1, 1_008)]
    assert [row.id for row in await stores.notifications.take_due(8, LEASE_MS, 9)] == ["ntf_3"]
    assert await stores.notifications.take_due(8, LEASE_MS, 9) == []
    again = await stores.notifications.take_due(1_008, LEASE_MS, 9)
    assert [(row.id, row.attempts) for row in again] == [("ntf_1", 2), ("ntf_2", 2), ("ntf_3", 2), ("ntf_9", 1)]


async def test_concurrent_senders_share_the_rows_out(stores: Stores) -> None:
    await stores.notifications.add([message(n) for n in range(1, 31)])
    shares = await asyncio.gather(*(stores.notifications.take_due(99, LEASE_MS, 10) for _ in range(5)))
    ids = [row.id for share in shares for row in share]
    assert len(ids) == len(set(ids))


@pytest.mark.postgres
async def test_no_plan_takes_more_than_asked_for(postgres_stores: Stores, database: Database) -> None:
    await postgres_stores.notifications.add([message(n) for n in range(1, 31)])
    statement = fill(load_queries("notifications")["take_due"], columns="id")
    async with database.transaction() as connection:
        # What is left is a loop that runs what it joins with again for each row.
        for way in ("hashagg", "hashjoin", "mergejoin", "sort", "material", "indexscan", "bitmapscan"):
            await connection.execute(f"SET LOCAL enable_{way} = off")
        assert len(await connection.fetch(statement, 99, LEASE_MS, 4)) == 4


async def test_a_message_ends_once(stores: Stores) -> None:
    await stores.notifications.add([message(1), message(2)])
    await stores.notifications.sent("ntf_1", 7, told(1))
    await stores.notifications.fail("ntf_1", 8, "too late", told(1, "failed"))
    await stores.notifications.sent("ntf_1", 9, told(1))
    await stores.notifications.retry("ntf_1", 9, "too late")
    assert await stores.notifications.by_id("ntf_1") == message(1, status="sent", ended_at_ms=7)
    await stores.notifications.fail("ntf_2", 8, "550 no such user", told(2, "failed"))
    await stores.notifications.sent("ntf_2", 9, told(2))
    assert await stores.notifications.by_id("ntf_2") == message(
        2, status="failed", ended_at_ms=8, error="550 no such user"
    )
    await stores.notifications.sent("ntf_none", 9, told(3))
    assert await outbox(stores) == [
        ("notification-events", "ntf_1", "notification.sent"),
        ("notification-events", "ntf_2", "notification.failed"),
    ]
    assert await stores.notifications.take_due(99, LEASE_MS, 9) == []


async def test_a_message_is_tried_again_when_it_is_due(stores: Stores) -> None:
    await stores.notifications.add([message(1)])
    await stores.notifications.take_due(5, LEASE_MS, 9)
    await stores.notifications.retry("ntf_1", 50, "451 later")
    assert await stores.notifications.take_due(49, LEASE_MS, 9) == []
    (again,) = await stores.notifications.take_due(50, LEASE_MS, 9)
    assert (again.attempts, again.error) == (2, "451 later")
    await stores.notifications.sent("ntf_1", 60, told(1))
    ended = await stores.notifications.by_id("ntf_1")
    assert ended is not None
    assert (ended.status, ended.error) == ("sent", "")


async def test_lists_are_newest_first_filtered_and_paged(stores: Stores) -> None:
    rows = [message(n, order_id=f"ord_{n % 2}", created_at_ms=n // 2) for n in range(1, 8)]
    rows += [kept(8, order_id="ord_1"), kept(9, order_id="")]
    await stores.notifications.add(rows)
    await stores.notifications.fail("ntf_3", 8, "gone", told(3, "failed"))

    async def ids(order_id: str | None = None, status: str | None = None, limit: int = 3) -> list[str]:
        found, cursor = [], None
        while True:
            page, cursor = await stores.notifications.list(order_id=order_id, status=status, limit=limit, cursor=cursor)
            assert len(page) <= limit
            found += [row.id.removeprefix("ntf_") for row in page]
            if cursor is None:
                return found

    assert await ids() == list("987654321")
    assert await ids(limit=9) == list("987654321")
    assert await ids("ord_1") == list("87531")
    assert await ids("ord_1", "sent") == ["8"]
    assert await ids("ord_1", "pending") == list("751")
    assert await ids(status="sent") == list("98")
    assert await ids(status="failed") == ["3"]
    assert await ids(status="pending", limit=2) == list("765421")
    assert await ids("ord_none") == []


@pytest.mark.parametrize("cursor", ["x", "", "W10", "WyJvcmRlcnMiLDEsIm8iXQ"])
async def test_a_foreign_cursor_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(ValueError):
        await stores.notifications.list(order_id=None, status=None, limit=3, cursor=cursor)


@pytest.mark.parametrize(
    "changes",
    [{"recipient": ""}, {"subject": "a\x00b"}, {"ended_at_ms": 5}, {"status": "sent"}, {"attempts": -1}],
)
async def test_a_row_that_cannot_be_is_refused_with_all_others(stores: Stores, changes: dict[str, Any]) -> None:
    with pytest.raises(WriteRefused):
        await stores.notifications.add([kept(1), message(2, **changes)], [told(1)])
    assert await stores.notifications.by_id("ntf_1") is None
    assert await outbox(stores) == []


async def test_old_messages_are_forgotten_once_they_ended(stores: Stores) -> None:
    await stores.notifications.add([kept(1), message(2), kept(3), message(4), kept(9)])
    await stores.notifications.fail("ntf_4", 5, "gone", told(4, "failed"))
    assert await stores.retention.forget_messages(9, 2) == 2
    assert await stores.retention.forget_messages(9, 2) == 1
    assert await stores.retention.forget_messages(9, 2) == 0
    left, _ = await stores.notifications.list(order_id=None, status=None, limit=9, cursor=None)
    assert [row.id for row in left] == ["ntf_9", "ntf_2"]


async def test_accounts_are_read_many_at_once(stores: Stores) -> None:
    from tests.contract.builders import user

    for number in (1, 2):
        await stores.users.add(user(f"usr_{number}", f"u{number}@example.com"), event(f"usr_{number}"))
    found = await stores.users.by_ids(["usr_1", "usr_2", "usr_3"])
    assert dict(found) == {f"usr_{n}": user(f"usr_{n}", f"u{n}@example.com") for n in (1, 2)}
    assert await stores.users.by_ids([]) == {}
