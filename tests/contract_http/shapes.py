"""The members that answers have by contract, and how a test looks for them."""

from typing import Any

import httpx

PRODUCT = {
    "id", "name", "description", "brand", "price", "currency", "categories", "attributes", "images", "variants", "version",
}  # fmt: skip
CART = {"id", "items", "subtotal", "currency", "itemCount", "problems", "version", "expiresAt"}
ORDER = {
    "id", "userId", "status", "items", "subtotal", "shipping", "tax", "total", "currency", "paymentId", "shippingAddress",
    "shipment", "allowedTransitions", "createdAt", "updatedAt", "version",
}  # fmt: skip
PAYMENT = {"id", "orderId", "status", "amount", "captured", "refunded", "currency", "method", "createdAt"}
STOCK = {"sku", "onHand", "reserved", "available", "version"}
USER = {"id", "email", "first_name", "last_name", "role", "created_at"}
SESSION = {"user", "token", "refresh_token", "token_type", "expires_in"}


def body(answer: httpx.Response, status: int, members: set[str]) -> Any:
    """The answer's body, if its status and its members are those of the contract."""
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert members <= found.keys(), members - found.keys()
    return found


def page(answer: httpx.Response, members: set[str]) -> list[Any]:
    """The items of a list."""
    found = body(answer, 200, {"data", "meta"})
    assert {"nextCursor", "total"} <= found["meta"].keys()
    assert found["data"]
    for item in found["data"]:
        assert members <= item.keys(), members - item.keys()
    return list(found["data"])
