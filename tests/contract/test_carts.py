"""Carts: compare-and-set on the version, with events and answers in the same write."""

import asyncio

import pytest

from persistence.errors import AlreadyExists, WriteRefused
from persistence.ports import Carts
from persistence.stores import Stores
from tests.contract.adapters import CARTS, stores_of
from tests.contract.builders import answer, cart_write, event

LONG_AGO_MS = 1_000


@pytest.fixture(params=CARTS)
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.fixture
def carts(stores: Stores) -> Carts:
    return stores.carts


async def test_a_cart_is_made_changed_and_read(carts: Carts) -> None:
    assert await carts.save([cart_write()]) == {"cart-1"}
    assert await carts.save([cart_write(expected_version=1)]) == {"cart-1"}
    assert await carts.load(["cart-1", "cart-2"]) == {"cart-1": cart_write(expected_version=1).record}


async def test_a_stale_write_changes_nothing(stores: Stores) -> None:
    carts = stores.carts
    await carts.save([cart_write()])
    await carts.save([cart_write(expected_version=1)])
    for stale in (0, 1, 3):
        write = cart_write(expected_version=stale, events=[event()], idempotency=[answer()])
        assert await carts.save([write]) == frozenset()
    assert (await carts.load(["cart-1"]))["cart-1"].version == 2
    assert await carts.answer("usr_1", "POST /x", "key-1") is None
    assert await stores.outboxes["carts"].read(10) == []


async def test_many_carts_a_call_each_by_its_own_version(stores: Stores) -> None:
    carts = stores.carts
    await carts.save([cart_write("b")])
    writes = [
        cart_write("c", events=[event("c", 1), event("c", 2)]),
        cart_write("b", 0, events=[event("b", 9)]),
        cart_write("a", 0, events=[event("a", 1)], idempotency=[answer("key-a")]),
        cart_write("d", 4),
    ]
    assert await carts.save(writes) == {"a", "c"}
    assert set(await carts.load(["a", "b", "c", "d"])) == {"a", "b", "c"}
    events = [row.event for row in await stores.outboxes["carts"].read(10)]
    assert sorted((e.entity_id, e.version) for e in events) == [("a", 1), ("c", 1), ("c", 2)]
    assert [e.version for e in events if e.entity_id == "c"] == [1, 2]
    assert await carts.answer("usr_1", "POST /x", "key-a") == answer("key-a")


async def test_of_concurrent_writes_on_one_version_one_wins(carts: Carts) -> None:
    for expected in (0, 1):
        results = await asyncio.gather(*(carts.save([cart_write(expected_version=expected)]) for _ in range(6)))
        assert sorted(map(len, results)) == [0] * 5 + [1]


async def test_a_second_answer_under_one_key_is_refused(carts: Carts) -> None:
    await carts.save([cart_write("a", idempotency=[answer()])])
    with pytest.raises(AlreadyExists):
        await carts.save([cart_write("b", idempotency=[answer()]), cart_write("c")])
    assert set(await carts.load(["a", "b", "c"])) == {"a"}


async def test_an_expired_cart_reads_as_absent_and_is_replaced(carts: Carts) -> None:
    await carts.save([cart_write(expires_at_ms=LONG_AGO_MS)])
    await carts.save([cart_write(expected_version=1, expires_at_ms=LONG_AGO_MS)])
    assert await carts.load(["cart-1"]) == {}
    assert await carts.save([cart_write()]) == {"cart-1"}
    assert (await carts.load(["cart-1"]))["cart-1"].version == 1


async def test_expired_carts_are_found_oldest_first(carts: Carts) -> None:
    await carts.save([cart_write(name, expires_at_ms=at) for name, at in (("a", 30), ("b", 10), ("c", 20), ("d", 99))])
    assert [cart.id for cart in await carts.expired(99, 10)] == ["b", "c", "a"]
    assert [cart.id for cart in await carts.expired(99, 2)] == ["b", "c"]


async def test_deleting_needs_the_very_version_and_leaves_its_last_event(stores: Stores) -> None:
    carts = stores.carts
    await carts.save([cart_write(expires_at_ms=LONG_AGO_MS)])
    assert not await carts.delete("cart-1", 2, [event()])
    assert await carts.delete("cart-1", 1, [event("cart-1", 2)])
    assert not await carts.delete("cart-1", 1)
    assert await carts.expired(LONG_AGO_MS + 1, 10) == []
    assert [row.event.version for row in await stores.outboxes["carts"].read(10)] == [2]


async def test_a_cart_that_began_anew_at_the_same_version_is_not_deleted(carts: Carts) -> None:
    await carts.save([cart_write(expires_at_ms=LONG_AGO_MS)])
    assert await carts.save([cart_write()]) == {"cart-1"}
    assert not await carts.delete("cart-1", 1)
    assert set(await carts.load(["cart-1"])) == {"cart-1"}


async def test_one_cart_twice_in_a_call_is_a_bug(carts: Carts) -> None:
    with pytest.raises(ValueError, match="at most once"):
        await carts.save([cart_write(), cart_write()])


async def test_an_event_that_its_table_refuses_leaves_the_cart_as_it_was(carts: Carts) -> None:
    with pytest.raises(WriteRefused):
        await carts.save([cart_write(events=[event(version=0)])])
    assert await carts.load(["cart-1"]) == {}
