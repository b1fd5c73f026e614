"""FACTS: which events others hear of, and which fields of each: an allow-list, a row an event. Pure.

A body has only what its row names. Nothing that identifies a person beyond their account's id is ever named here: no
e-mail address, name, address or phone number, no payment token or reference, no text that somebody typed. An event
without a row is internal: it is published as `<fact>.progressed` without data, so that the sequence of its entity has no
gap (see docs/events.md), and nothing is known of it but that it happened.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from actors.domain.ids import payment_id
from actors.events.guests import public_user_id

Fields: TypeAlias = Mapping[str, Any]
Pick: TypeAlias = Callable[[Fields, str], Any]
"""(stored body, entity id) -> one public value."""

_MISSING: Final = object()


def _at(*path: str) -> Pick:
    """What stands at this path of the stored body."""

    def pick(fields: Fields, _entity_id: str) -> Any:
        found: Any = fields
        for name in path:
            if not isinstance(found, Mapping):
                return _MISSING
            found = found.get(name, _MISSING)
        return found

    return pick


def _each(path: tuple[str, ...], picks: Mapping[str, Pick]) -> Pick:
    """A list there, of each of whose members only these fields are taken."""

    def pick(fields: Fields, entity_id: str) -> Any:
        members = _at(*path)(fields, entity_id)
        if not isinstance(members, list):
            return _MISSING
        return [picked(picks, member, entity_id) for member in members]

    return pick


def _user(*path: str) -> Pick:
    """A user's id; a guest's is a key to their cart, and is replaced."""

    def pick(fields: Fields, entity_id: str) -> Any:
        found = _at(*path)(fields, entity_id)
        return public_user_id(found) if isinstance(found, str) else _MISSING

    return pick


def _total(fields: Fields, _entity_id: str) -> Any:
    amounts = fields.get("amounts")
    if not isinstance(amounts, Mapping):
        return _MISSING
    return sum(int(amounts.get(part, 0)) for part in ("subtotal", "shipping", "tax"))


def _entity(_fields: Fields, entity_id: str) -> Any:
    return entity_id


def _payment(_fields: Fields, entity_id: str) -> Any:
    return payment_id(entity_id)


def _cart(_fields: Fields, entity_id: str) -> Any:
    return public_user_id(entity_id)


def picked(picks: Mapping[str, Pick], fields: Fields, entity_id: str) -> dict[str, Any]:
    """The public fields of a stored body; one that it does not have is left out."""
    found = ((name, pick(fields, entity_id)) for name, pick in picks.items())
    return {name: value for name, value in found if value is not _MISSING}


@dataclass(frozen=True, slots=True)
class Entity:
    """What an entity type is called outside."""

    topic: str
    source: str
    fact: str
    """The first word of its events' names."""


ENTITIES: Final[Mapping[str, Entity]] = {
    "order": Entity("order-events", "/stampede/orders", "order"),
    "payment": Entity("payment-events", "/stampede/payments", "payment"),
    "sku": Entity("inventory-events", "/stampede/inventory", "stock"),
    "cart": Entity("cart-events", "/stampede/carts", "cart"),
    "product": Entity("catalog-events", "/stampede/catalog", "product"),
    "user": Entity("user-events", "/stampede/users", "user"),
    "notification": Entity("notification-events", "/stampede/notifications", "notification"),
}
COMPACTED: Final = frozenset({"catalog-events"})
TOPICS: Final = tuple(entity.topic for entity in ENTITIES.values())
DEAD_LETTERS: Final = ".dlq"

_ORDER: Final[dict[str, Pick]] = {"orderId": _entity}
_PAYMENT: Final[dict[str, Pick]] = {
    "paymentId": _payment,
    "orderId": _entity,
    "userId": _user("attempt", "user_id"),
    "amountMinor": _at("attempt", "amount"),
    "currency": _at("attempt", "currency"),
    "methodType": _at("attempt", "method_type"),
}
_STOCK: Final[dict[str, Pick]] = {"sku": _entity}
_HELD: Final[dict[str, Pick]] = {
    "sku": _entity,
    "reservationId": _at("reservation_id"),
    "orderId": _at("order_id"),
    "quantity": _at("quantity"),
}
_CART: Final[dict[str, Pick]] = {"cartId": _cart}
_CART_LINE: Final[dict[str, Pick]] = {
    "productId": _at("product_id"),
    "sku": _at("sku"),
    "quantity": _at("quantity"),
    "unitPriceMinor": _at("unit_price"),
    "currency": _at("currency"),
}
_PRODUCT: Final[dict[str, Pick]] = {
    name: _at(name)
    for name in (
        "id",
        "name",
        "description",
        "brand",
        "price",
        "currency",
        "categories",
        "attributes",
        "images",
        "variants",
        "version",
        "createdAtMs",
    )
}
_NOTIFICATION: Final[dict[str, Pick]] = {
    "notificationId": _at("notificationId"),
    "type": _at("type"),
    "channel": _at("channel"),
    "orderId": _at("orderId"),
    "userId": _at("userId"),
}

FACTS: Final[Mapping[str, Mapping[str, Pick]]] = {
    "order.created": _ORDER
    | {
        "userId": _user("user_id"),
        "lines": _each(
            ("lines",),
            {
                "productId": _at("product_id"),
                "sku": _at("sku"),
                "quantity": _at("quantity"),
                "unitPriceMinor": _at("unit_price"),
            },
        ),
        "subtotalMinor": _at("amounts", "subtotal"),
        "shippingMinor": _at("amounts", "shipping"),
        "taxMinor": _at("amounts", "tax"),
        "totalMinor": _total,
        "currency": _at("amounts", "currency"),
        "expiresAtMs": _at("expires_at_ms"),
    },
    "order.confirmed": _ORDER | {"attempt": _at("n")},
    "order.payment_failed": _ORDER | {"attempt": _at("n"), "reason": _at("reason")},
    "order.cancelled": _ORDER | {"refundedMinor": _at("refunded")},
    "order.expired": _ORDER,
    "order.shipped": _ORDER | {"carrier": _at("carrier"), "trackingNumber": _at("tracking_number")},
    "order.delivered": _ORDER,
    "order.refund_completed": _ORDER | {"refund": _at("n")},
    "order.refunded": _ORDER | {"refund": _at("n")},
    "payment.captured": _PAYMENT,
    "payment.failed": _PAYMENT | {"reason": _at("reason")},
    "payment.refunded": {"paymentId": _payment, "orderId": _entity, "amountMinor": _at("amount")},
    "stock.reserved": _STOCK
    | {
        "reservationId": _at("hold", "id"),
        "orderId": _at("hold", "order_id"),
        "quantity": _at("hold", "quantity"),
        "expiresAtMs": _at("hold", "expires_at_ms"),
    },
    "stock.released": _HELD,
    "stock.reservation_expired": _HELD,
    "stock.committed": _HELD,
    "stock.returned": _STOCK | {"orderId": _at("order_id"), "quantity": _at("quantity")},
    "stock.adjusted": _STOCK | {"delta": _at("delta")},
    "stock.depleted": _STOCK,
    "stock.replenished": _STOCK | {"available": _at("available")},
    "cart.item_added": _CART | {"line": lambda fields, cart: picked(_CART_LINE, fields.get("line", {}), cart)},
    "cart.item_updated": _CART | {"sku": _at("sku"), "quantity": _at("quantity")},
    "cart.item_removed": _CART | {"sku": _at("sku")},
    "cart.cleared": _CART,
    "cart.merged": _CART | {"lines": _each(("lines",), _CART_LINE)},
    "cart.ordered": _CART | {"orderId": _at("order_id")},
    "cart.expired": _CART,
    "product.created": _PRODUCT,
    "product.updated": _PRODUCT,
    "product.price_changed": _PRODUCT | {"changes": _at("changes")},
    "product.deleted": {"id": _entity, "version": _at("version")},
    "user.registered": {"userId": _entity, "role": _at("role")},
    "user.password_changed": {"userId": _entity},
    "user.role_changed": {"userId": _entity, "role": _at("role")},
    "notification.sent": _NOTIFICATION,
    "notification.failed": _NOTIFICATION,
}
"""Public fields by the event's stored type."""
