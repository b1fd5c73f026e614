"""Events that cannot be told, or not now: nothing else suffers, and nothing of them is logged."""

import msgspec
import pytest
import structlog

from persistence.errors import StoreUnavailable, WriteRefused
from persistence.memory.notifications import MemoryNotifications
from persistence.records import NewEvent
from tests.shop_world import Shop, wall_ms
from tests.unit.notifications.feed import Feed


async def event_of(shop: Shop, entity_id: str, type_: str, body: bytes = b"{}", version: int = 1) -> NewEvent:
    return NewEvent(
        entity_type=type_.partition(".")[0], entity_id=entity_id, version=version, type=type_, schema_version=1,
        body=body, command_id="c", correlation_id="c", causation_id="", traceparent="", at_ms=wall_ms(),
    )  # fmt: skip


async def test_an_event_that_cannot_be_told_does_not_stop_the_others(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    order = await shop.buy(ada)
    good = await feed.news()
    bad = [
        await event_of(shop, "ord_none", "order.confirmed"),
        await event_of(shop, order["id"], "order.confirmed", b"not json: tok_canary", version=90),
        await event_of(shop, "usr_none", "user.registered"),
        msgspec.structs.replace(await event_of(shop, order["id"], "order.shipped", version=91), schema_version=9),
    ]
    with structlog.testing.capture_logs() as logs:
        await feed.notifier.handle([*bad, *good])
    assert await feed.types(order["id"]) == ["order_confirmed"]
    passed = [entry for entry in logs if entry["event"] == "notifier.passed_over"]
    assert [entry["event_id"] for entry in passed] == [f"{e.entity_type}:{e.entity_id}:{e.version}" for e in bad]
    assert "tok_canary" not in str(logs)


async def test_an_order_of_an_account_that_is_gone_is_passed_over(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    order = await shop.buy(ada)
    assert isinstance(shop.stores.notifications, MemoryNotifications)
    del shop.stores.notifications.tables.users[ada.id]
    with structlog.testing.capture_logs() as logs:
        await feed.follow()
    assert await feed.messages(order["id"]) == []
    assert [entry["why"] for entry in logs if entry["event"] == "notifier.passed_over"] == ["the account is gone"] * 2


async def test_what_is_a_day_old_is_no_news(shop: Shop, feed: Feed) -> None:
    order = await shop.buy(await shop.account())
    events = await feed.news()
    old = [msgspec.structs.replace(event, at_ms=wall_ms() - 86_400_001) for event in events]
    with structlog.testing.capture_logs() as logs:
        await feed.notifier.handle(old)
    assert await feed.messages() == []
    assert [entry["event"] for entry in logs] == ["notifier.too_old"]
    young = [msgspec.structs.replace(event, at_ms=wall_ms() - 86_390_000) for event in events]
    await feed.notifier.handle(young)
    assert await feed.types(order["id"]) == ["order_confirmed"]


async def test_a_row_that_the_store_refuses_does_not_stop_the_others(
    shop: Shop, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await shop.buy(await shop.account("a@example.com")), await shop.buy(await shop.account("b@x.io"))
    real = MemoryNotifications._add

    def refusing(self: MemoryNotifications, rows: list, events: list) -> frozenset[str]:
        if any(row.order_id == first["id"] for row in rows):
            raise WriteRefused("22021")
        return real(self, rows, events)

    monkeypatch.setattr(MemoryNotifications, "_add", refusing)
    with structlog.testing.capture_logs() as logs:
        await feed.follow()
    assert await feed.types(first["id"]) == []
    assert await feed.types(second["id"]) == ["order_confirmed"]
    assert [entry["event"] for entry in logs] == ["notifier.refused"]


async def test_a_store_that_is_away_makes_the_events_come_again(
    shop: Shop, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.account()
    events = await feed.news()

    async def away(*_: object) -> None:
        raise StoreUnavailable("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryNotifications, "add", away)
        with pytest.raises(StoreUnavailable):
            await feed.notifier.handle(events)
    await feed.notifier.handle(events)
    assert "ada@example.com" in {mail.recipient for mail in await feed.messages()}


async def test_many_events_are_stored_in_few_statements(
    shop: Shop, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await shop.account()
    template = (await feed.news())[-1]
    sizes: list[int] = []
    real = MemoryNotifications.add

    async def counting(self: MemoryNotifications, rows: list, events: list) -> frozenset[str]:
        sizes.append(len(rows))
        return await real(self, rows, events)

    monkeypatch.setattr(MemoryNotifications, "add", counting)
    await feed.notifier.handle(
        [msgspec.structs.replace(template, entity_id=ada.id, version=version) for version in range(1, 251)]
    )
    assert sizes == [100, 100, 50]
