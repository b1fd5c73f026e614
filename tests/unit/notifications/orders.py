"""Orders as messages are made of them, with only what a test is about left to say."""

from typing import Any

from actors.domain import order
from actors.domain.decision import CommandMark

MARK = CommandMark(command_id="c", until_ms=1, fingerprint="f", actor="usr_1")
TOKEN = "tok_canary_4242"


def an_order(*, name: str = "Keyboard", address: dict[str, str] | None = None, **changes: Any) -> order.Order:
    """A confirmed order of one thing; `address` replaces parts of its shipping address."""
    where = {"name": "Ada", "line1": "1 Main Street", "city": "Town", "postal_code": "1", "country": "US"}
    fields: dict[str, Any] = {
        "id": "ord_" + "a" * 24, "version": 2, "user_id": "guest_1", "email": "ada@example.com", "cart_id": "",
        "fingerprint": "f", "attempt_ms": 1, "status": "confirmed", "amounts": order.Amounts(
            subtotal=2_000, shipping=499, tax=101, currency="EUR"
        ),
        "lines": (
            order.OrderLine(sku="K-1", product_id="p", name=name, quantity=2, unit_price=1_000, price_version=1),
        ),
        "shipping_address": order.Address(**{**where, **(address or {})}),
        "payment": order.Attempt(n=1, method=order.PaymentMethod(type="card", token=TOKEN), mark=MARK),
        "expires_at_ms": 1, "created_at_ms": 1_700_000_000_000, "updated_at_ms": 1,
    }  # fmt: skip
    return order.Order(**fields | changes)


CONFIRMED = order.OrderConfirmed(n=1, reference="ref", last4="4242", at_ms=1)
CANCELLED = order.OrderCancelled(reason="", refunded=0, at_ms=1)
