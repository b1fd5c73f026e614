"""Carts that nobody touched for a month leave the store, with their last event; all others stay."""

import asyncio
from typing import Any

import msgspec

from actors.cart_expiry import CartExpiry
from actors.domain.cart import IDLE_TTL_MS, Cart, ExpireCart
from cluster.clock import Interval
from persistence.memory.tables import MemoryTables
from persistence.records import CartRecord, CartWrite
from persistence.stores import open_memory_stores
from tests.unit.domain.builders import NOW_MS, cart_line


class Clock:
    def now(self) -> Interval:
        return Interval(NOW_MS, NOW_MS)


class Runtime:
    """Owns every shard; nothing is in memory."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def describe(self) -> Any:
        return msgspec.defstruct("Description", ["shards"])(range(256))

    async def deliver_local(self, envelope: Any, command: Any) -> None:
        assert isinstance(command, ExpireCart)
        self.told.append(envelope.entity_id)


def stored(cart_id: str, *, idle_ms: int, lines: int = 1) -> CartWrite:
    cart = Cart(
        id=cart_id,
        version=4,
        lines=tuple(cart_line(f"S{n}") for n in range(lines)),
        updated_at_ms=NOW_MS - idle_ms,
    )
    state = msgspec.json.encode(cart)
    record = CartRecord(id=cart_id, version=4, state=state, expires_at_ms=cart.expires_at_ms)
    return CartWrite(record=record, expected_version=0)


def test_an_expired_cart_is_gone_for_good_and_is_not_found_again() -> None:
    async def scenario() -> None:
        tables = MemoryTables()
        stores = open_memory_stores(lambda: NOW_MS, tables=tables)
        month = IDLE_TTL_MS + 1
        old, empty, young = (
            stored("old", idle_ms=month),
            stored("empty", idle_ms=month, lines=0),
            stored("y", idle_ms=5),
        )
        await stores.carts.save([old, empty, young])
        expiry = CartExpiry(stores.carts, Runtime(), Clock(), 256)  # type: ignore[arg-type]
        assert await expiry.sweep() == 2
        assert set(tables.carts.carts) == {"y"}
        events = [row.event for row in await stores.outboxes["carts"].read(10)]
        assert [(event.entity_id, event.type, event.version) for event in events] == [("old", "cart.expired", 5)]
        assert await expiry.sweep() == 0

    asyncio.run(scenario())
