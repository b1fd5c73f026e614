"""Reads of the state rows, snapshots included."""

import pytest

from persistence.records import Page
from persistence.stores import Stores
from tests.contract.builders import batch, order, payment, snapshot, stock


async def write_orders(stores: Stores) -> None:
    orders = stores.journals["orders"]
    await orders.fence(1, 1)
    rows = [
        order("ord_a", created_at_ms=1000),
        order("ord_b", created_at_ms=3000, status="confirmed"),
        order("ord_c", created_at_ms=2000),
        order("ord_d", created_at_ms=2000, status="confirmed"),
        order("ord_Z", created_at_ms=2000),
        order("ord_e", created_at_ms=9000, user_id="usr_2"),
    ]
    await orders.append([batch(views=rows)])


async def list_all(stores: Stores, limit: int, user_id: str | None, status: str | None = None) -> list[str]:
    """The ids of all pages of a list."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page: Page = await stores.orders.list(user_id=user_id, status=status, limit=limit, cursor=cursor)
        ids += [row.id for row in page[0]]
        cursor = page[1]
        if cursor is None:
            return ids


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_orders_are_listed_newest_first_page_by_page(stores: Stores, limit: int) -> None:
    await write_orders(stores)
    assert await list_all(stores, limit, "usr_1") == ["ord_b", "ord_d", "ord_c", "ord_Z", "ord_a"]
    assert await list_all(stores, limit, "usr_1", "confirmed") == ["ord_b", "ord_d"]
    assert await list_all(stores, limit, None) == ["ord_e", "ord_b", "ord_d", "ord_c", "ord_Z", "ord_a"]
    assert await list_all(stores, limit, None, "pending") == ["ord_e", "ord_c", "ord_Z", "ord_a"]
    assert await list_all(stores, limit, "usr_9") == []


async def test_a_page_that_ends_the_list_has_no_cursor(stores: Stores) -> None:
    await write_orders(stores)
    rows, cursor, _ = await stores.orders.list(user_id="usr_1", status=None, limit=5, cursor=None)
    assert (len(rows), cursor) == (5, None)


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "WyJvcmRlcnMiLCJhIiwiYiJd", "bnVsbA"])
async def test_a_foreign_cursor_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await stores.orders.list(user_id="usr_1", status=None, limit=5, cursor=cursor)


async def test_an_order_comes_back_whole(stores: Stores) -> None:
    orders = stores.journals["orders"]
    await orders.fence(1, 1)
    await orders.append([batch(views=[order(version=3)])])
    assert await stores.orders.load(["ord_1", "ord_2"]) == {"ord_1": order(version=3)}
    assert await stores.orders.load([]) == {}


async def test_a_payment_is_found_by_its_order_and_by_its_id(stores: Stores) -> None:
    payments = stores.journals["payments"]
    await payments.fence(1, 1)
    first, second = payment("pay_1", 1), payment("pay_2", 2, captured_minor=500)
    await payments.append([batch(views=[first, second])])
    assert await stores.payments.load(["ord_1", "ord_2"]) == {"ord_1": second}
    assert await stores.payments.by_id("pay_1") == first
    assert await stores.payments.by_id("ord_1") is None


async def test_stock_that_can_be_bought(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 1)
    rows = [stock("A", on_hand=3, reserved=2), stock("B", on_hand=2, reserved=2), stock("C", on_hand=0)]
    await inventory.append([batch(views=rows)])
    assert await stores.stock.in_stock() == {"A"}
    assert await stores.stock.load(["A", "C", "X"]) == {"A": rows[0], "C": rows[2]}


async def test_a_snapshot_is_saved_of_committed_state_only(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 1)
    await inventory.append([batch(events=4)])
    assert not await stores.stock.save_snapshots(1, 1, [snapshot("A", 4), snapshot("B", 5)])
    assert await stores.stock.snapshots(1) == []
    assert await stores.stock.save_snapshots(1, 1, [snapshot("A", 4), snapshot("B", 2)])
    assert await stores.stock.snapshots(1) == [snapshot("A", 4), snapshot("B", 2)]
    assert await stores.stock.snapshots(1, ["B", "X"]) == [snapshot("B", 2)]
    assert await stores.stock.snapshots(2) == []


async def test_a_zombie_saves_no_snapshot(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 1)
    await inventory.append([batch(events=4)])
    await inventory.fence(1, 2)
    assert not await stores.stock.save_snapshots(1, 1, [snapshot("A", 4)])
    assert not await stores.stock.save_snapshots(2, 1, [snapshot("A", 4, shard=2)])
    assert await stores.stock.snapshots(1) == []


async def test_an_older_snapshot_never_replaces_a_newer_one(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 1)
    await inventory.append([batch(events=4)])
    assert await stores.stock.save_snapshots(1, 1, [snapshot("A", 4)])
    assert await stores.stock.save_snapshots(1, 1, [snapshot("A", 2)])
    assert await stores.stock.snapshots(1) == [snapshot("A", 4)]
    assert await stores.stock.save_snapshots(1, 1, [])
