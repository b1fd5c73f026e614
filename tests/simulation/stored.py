"""The stores as plain objects: what the journals and the state rows say."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from actors.domain import cart, inventory, order, payment
from actors.registry import ENTITY_TYPES
from persistence.records import JournalEvent, JournalService, OrderRow, PaymentRow

if TYPE_CHECKING:
    from tests.simulation.world import World

Key = tuple[str, str]


def events_of(world: "World", service: JournalService) -> dict[Key, list[JournalEvent]]:
    """Every event by entity, in the order of shard and seq."""
    found: dict[Key, list[JournalEvent]] = defaultdict(list)
    for _shard, events in sorted(world.tables.journals[service].journal.items()):
        for event in events:
            found[event.entity_type, event.entity_id].append(event)
    return found


def decoded(event: JournalEvent) -> Any:
    return ENTITY_TYPES[event.entity_type].events.decode(event.type, event.schema_version, event.body)


def fold(key: Key, events: list[JournalEvent]) -> Any:
    """The state after these events."""
    type_ = ENTITY_TYPES[key[0]]
    state = type_.initial(key[1])
    for event in events:
        state = type_.apply(state, decoded(event))
    return state


def order_of(world: "World", order_id: str) -> order.Order | None:
    row = world.tables.journals["orders"].views.get(order_id)
    return msgspec.json.decode(row.state, type=order.Order) if isinstance(row, OrderRow) else None


def orders_of(world: "World") -> dict[str, order.Order]:
    rows = world.tables.journals["orders"].views.values()
    return {row.id: msgspec.json.decode(row.state, type=order.Order) for row in rows if isinstance(row, OrderRow)}


def payments_of(world: "World") -> dict[str, payment.Payment]:
    """By order id."""
    rows = world.tables.journals["payments"].views.values()
    return {
        row.order_id: msgspec.json.decode(row.state, type=payment.Payment)
        for row in rows
        if isinstance(row, PaymentRow)
    }


def cart_of(world: "World", cart_id: str) -> cart.Cart:
    record = world.tables.carts.carts.get(cart_id)
    return cart.Cart(id=cart_id) if record is None else msgspec.json.decode(record.state, type=cart.Cart)


def sku_events(world: "World", sku: str) -> list[Any]:
    return [decoded(event) for event in events_of(world, "inventory").get(("sku", sku), [])]


def stock_of(events: list[Any], order_id: str) -> tuple[int, int]:
    """(units held, units sold and not returned) of one order, by a SKU's events. Returned twice: below zero."""
    held = sold = 0
    for event in events:
        match event:
            case inventory.StockReserved(hold=hold) if hold.order_id == order_id:
                held = hold.quantity
            case inventory.StockReleased(order_id=of) if of == order_id:
                held = 0
            case inventory.StockCommitted(order_id=of, quantity=quantity) if of == order_id:
                held, sold = 0, sold + quantity
            case inventory.StockReturned(order_id=of, quantity=quantity) if of == order_id:
                sold -= quantity
    return held, sold
